"""Decide whether nodes run under KVM or are emulated by TCG, by trying it.

The device /dev/kvm proves nothing: there are nested hosts where it opens, and even makes a VM, and yet no
guest kernel ever prints a line. So the guest image is booted under KVM once, against a deadline. The result
is cached until the host boots anew, or until QEMU, the image or the permissions of /dev/kvm change. First
libvirt is asked: without KVM of its own it starts no node with it, even if QEMU could.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import selectors
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from fame_lab.core.cache import own_cache
from fame_lab.core.sizes import format_size
from fame_lab.errors import HostError, SpecError
from fame_lab.guest.images.appliance import Appliance
from fame_lab.guest.images.base import PERSONAL, READY
from fame_lab.host.file_access import can_open
from fame_lab.host.kvm_trials import Trial, remember, remembered
from fame_lab.host.qemu import PROGRAM, of_host
from fame_lab.host.qemu_user import QemuUser, run_as
from fame_lab.spec.validation import KVM_FAM_LIMIT

__all__ = ["Accelerator", "choose", "output", "running"]

KVM = Path("/dev/kvm")
TCG_ADDRESS_BITS = 40  # QEMU 7.2's, whatever the host
FIRST_LINE_SECONDS = 4.0  # a guest kernel that KVM does run prints within 0.2 s
READY_SECONDS = 12.0
PATIENCE = 15  # times as long for accel='kvm': a slow KVM may still work

_NODE = "kvm-trial"
_INSTEAD = "so nodes are emulated (TCG)"


@dataclass(frozen=True)
class Accelerator:
    """The executor of a node's instructions.

    Parameters
    ----------
    kind : {"kvm", "tcg"}
    reason : str
        The reason for it, in one sentence.
    address_bits : int
        Width of a node's physical addresses.
    """

    kind: Literal["kvm", "tcg"]
    reason: str
    address_bits: int

    @property
    def fam_limit(self) -> int:
        """Largest FAM in bytes.

        BAR2 lies at a multiple of its own size, so it has at most half of all addresses; KVM has a limit too.
        """
        addressed = 1 << (self.address_bits - 1)
        return min(addressed, KVM_FAM_LIMIT) if self.kind == "kvm" else addressed

    def check_addressable(self, fam: int) -> None:
        """Raise SpecError if FAM is too large: QEMU would leave its BAR unassigned, or abort."""
        if fam > self.fam_limit:
            why = f"{self.kind.upper()} has {self.address_bits} physical address bits here"
            if self.kind == "kvm" and self.fam_limit == KVM_FAM_LIMIT:
                why = "a memory slot of KVM holds less than 8T"
            raise SpecError(
                f"fam is {format_size(fam)}: {why}; the largest FAM that works is "
                f"{format_size(self.fam_limit)}"
            )


def choose(
    accel: Literal["auto", "kvm", "tcg"],
    appliance: Appliance | None = None,
    *,
    qemu_user: QemuUser | None = None,
    refused: Callable[[], str] = lambda: "",
    on_stage: Callable[[str], None] = lambda _words: None,
    qemu: Path | None = None,
) -> Accelerator:
    """Return the accelerator for the nodes of a lab.

    Parameters
    ----------
    accel : {"auto", "kvm", "tcg"}
        ``auto`` takes KVM if it works here.
    appliance : Appliance, optional
        The guest image to try KVM with. Without one `accel` is not tried, as for nodes that run.
    qemu_user : QemuUser, optional
        The user that QEMU will run as, if another.
    refused : callable
        Returns why libvirt has no KVM; nothing if it has. It is called before KVM is tried.
    on_stage : callable
        Called with a few words while KVM is tried; an error that it raises ends the trial.
    qemu : Path, optional
        The QEMU to try KVM with; by default the host's.

    Raises
    ------
    HostError
        If `accel` is ``kvm`` and KVM does not work, with the reason and a remedy; if QEMU is missing.
    ValueError
        If `accel` is ``auto`` and there is no image to try.
    """
    if accel == "tcg":
        return Accelerator("tcg", "TCG was asked for", TCG_ADDRESS_BITS)
    if appliance is None:
        if accel == "auto":
            raise ValueError("'auto' is decided by booting a guest image: give one, or 'kvm' or 'tcg'")
        return Accelerator("kvm", "KVM was asked for", _host_address_bits())
    trial = _try_kvm(str(qemu or of_host()), appliance, qemu_user, refused, on_stage, patient=accel == "kvm")
    if trial.works:
        return Accelerator("kvm", f"KVM works here: {trial.reason}", _host_address_bits())
    if accel == "kvm":
        raise HostError(
            f"accel='kvm' cannot be had: {trial.reason}",
            hint=f"use accel='auto' or 'tcg' to emulate. {_mend(_memory())}",
        )
    return Accelerator("tcg", f"{trial.reason}, {_INSTEAD}", TCG_ADDRESS_BITS)


def _try_kvm(
    qemu: str,
    appliance: Appliance,
    qemu_user: QemuUser | None,
    refused: Callable[[], str],
    on_stage: Callable[[str], None],
    *,
    patient: bool,
) -> Trial:
    """Boot the guest image under KVM, or return the cached result of the last trial."""
    try:
        device = KVM.stat()
    except OSError as error:
        return Trial(False, f"there is no {KVM} ({error.strerror})")
    if refusal := refused():
        return Trial(False, refusal)
    program = Path(qemu).stat()
    # The device's times do not count: udev touches it whenever a VM starts or ends.
    decisive = (
        Path("/proc/sys/kernel/random/boot_id").read_text(),
        (device.st_mode, device.st_uid, device.st_gid),
        can_open(KVM, qemu_user),
        (qemu, program.st_size, program.st_mtime_ns),
        (appliance.digest, qemu_user, os.geteuid(), os.getgroups()),
    )
    memory = _memory()
    trial = Trial(False, "")
    # A KVM that came up at once needs no second trial; a slow one may still come up.
    for patience in (1, PATIENCE) if patient else (1,):
        key = hashlib.sha256(repr((decisive, patience)).encode()).hexdigest()
        if stored := remembered(memory, key):
            trial = stored
        elif patience == PATIENCE or not patient:
            trial = _boot(qemu, appliance, qemu_user, patience, on_stage)
            remember(memory, key, trial)
        if trial.works:
            return trial
    return trial


def _memory() -> Path:
    return own_cache() / "kvm-trial.json"


def _boot(
    qemu: str,
    appliance: Appliance,
    qemu_user: QemuUser | None,
    patience: int,
    on_stage: Callable[[str], None],
) -> Trial:
    """Boot until the guest reports that it is ready, QEMU dies, or a deadline passes."""
    command = [
        *("setpriv", "--pdeathsig", "KILL"),  # a guest that hangs would outlive us if we were killed
        *(qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-machine", "q35", "-accel", "kvm", "-cpu", "host,host-phys-bits=on", "-m", "128M"),
        *("-kernel", str(appliance.kernel), "-initrd", str(appliance.initrd)),
        *("-append", appliance.cmdline(tsc_khz=None).replace(" quiet", ""), "-serial", "stdio"),
        *("-fw_cfg", f"name={PERSONAL}/node,string={_NODE}"),
    ]
    start = time.monotonic()
    console = ""
    with running(command, qemu_user) as (process, complaints):
        for console in output(process):
            seconds = time.monotonic() - start
            if READY.format(node=_NODE) in console:
                return Trial(True, f"the guest image booted under it in {seconds:.1f} s")
            longer = "" if patience > 1 else f" (accel='kvm' waits {PATIENCE} times as long)"
            if not console and seconds > FIRST_LINE_SECONDS * patience:
                return Trial(False, f"{KVM} opens but its guest printed nothing in {seconds:.0f} s{longer}")
            if seconds > READY_SECONDS * patience:
                words = f"under KVM the guest was not ready in {seconds:.0f} s{longer}: {_last(console)}"
                return Trial(False, words)
            on_stage("trying KVM")
        process.wait()
        complaints.seek(0)
        why = _one_line(complaints.read().decode(errors="replace")) or _last(console) or "without a word"
        return Trial(False, f"{KVM} is there but QEMU ended when it tried KVM ({why})")


@contextlib.contextmanager
def running(
    command: list[str], qemu_user: QemuUser | None
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Start QEMU as the user that it will run as, and kill it at the block's end."""
    # It may well abort, and files that it drops in its directory are removed too.
    with tempfile.TemporaryFile() as complaints, tempfile.TemporaryDirectory() as directory:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                cwd=directory,
                **run_as(qemu_user),
            )
        except OSError as error:
            raise HostError(f"could not start {command[3]} to try KVM: {error.strerror}") from error
        try:
            yield process, complaints
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            process.stdout.close()


def output(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield all that the guest has printed so far, a few times a second, until QEMU closes its output."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    buffer = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(timeout=0.1):
                chunk = os.read(process.stdout.fileno(), 65536)
                if not chunk:
                    return
                buffer = (buffer + chunk)[-65536:]  # a guest is not trusted to stop
            yield buffer.decode(errors="replace")


def _last(text: str) -> str:
    """Return the last line that is not empty."""
    lines = [line for line in text.splitlines() if line.strip()]
    return _one_line(lines[-1]) if lines else ""


def _one_line(text: str) -> str:
    """Return the beginning of a message, in one line of printable ASCII."""
    words = " ".join(text.replace(f"{PROGRAM}: ", "").split())
    return re.sub(r"[^ -~]", "?", words)[:240]


def _host_address_bits() -> int:
    """Return the width of this CPU's physical addresses, which KVM passes on."""
    match = re.search(r"^address sizes\s*: (\d+) bits", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    if match is None:
        raise HostError("/proc/cpuinfo does not tell the CPU's physical address bits", hint="use accel='tcg'")
    return int(match[1])


def _mend(memory: Path) -> str:
    if not KVM.exists():
        return (
            "For KVM, turn virtualisation on in the firmware (or nesting, if this is a VM) and load "
            "kvm_intel or kvm_amd"
        )
    return (
        f"KVM needs {KVM} open to QEMU's user (`chown root:kvm {KVM} && chmod 0660 {KVM}`, and that user in "
        f"group kvm) and, if this host is a VM itself, nesting that works. It is tried again when the host "
        f"has booted anew or {memory} is removed"
    )
