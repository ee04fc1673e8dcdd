"""A trial of one QEMU: what it can do for a lab on this host.

A version is no evidence where a trial is possible: the guest image is booted in the QEMU, with the command
line of a node, and the trace plugin is loaded. For restoring only libvirt's part is checked: a start from a
template finds out the rest, and falls back to a cold one.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from pathlib import Path

from libvirt import virConnect

from fame_lab.core.cache import own_cache
from fame_lab.core.sanitize import shortened
from fame_lab.errors import HostError
from fame_lab.guest.images.appliance import Appliance
from fame_lab.guest.images.base import READY, KernelBoot
from fame_lab.host import kvm_trials, qemu, qemu_cache, trace_plugin
from fame_lab.host.accelerator import output, running
from fame_lab.host.doctor.diagnosis import Ability, QemuCheck, Verdict
from fame_lab.host.kvm_trials import Trial
from fame_lab.host.libvirt import migration
from fame_lab.host.libvirt.connection import check_emulator
from fame_lab.host.libvirt.domain_xml import domain_xml
from fame_lab.host.libvirt.metadata import NodeRecord
from fame_lab.host.libvirt.qemu_args import qemu_args
from fame_lab.host.qemu import Qemu, dotted
from fame_lab.host.qemu_user import QemuUser
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["CHECKER", "COUNTS", "ORDER", "RESTORES", "STARTS", "look"]

STARTS = "starts nodes"
COUNTS = "counts accesses"
ORDER = "keeps their order"
RESTORES = "restores nodes"
CHECKER = "could run a coherence checker, which is to come"

#: The checker (FABRIC.md) reads registers, which plugins can from version 2 of their interface on: QEMU 9.0.
_READS_REGISTERS = 2
_BOOT_SECONDS = 60.0
_STARTS_NONE = "starts no nodes"


def look(
    name: str,
    path: Path,
    *,
    image: Appliance | None,
    user: QemuUser | None,
    connection: virConnect | None,
) -> QemuCheck:
    """Try one QEMU.

    Parameters
    ----------
    name : str
        Its value for ``LabSpec(qemu=...)``; ``auto`` is the host's own.
    path : Path
    image : Appliance, optional
        The guest image, if it is built.
    user : QemuUser, optional
        The user that it will run as, if another.
    connection : virConnect, optional
        libvirt, if it answers.
    """
    check = QemuCheck(_label(name), "ok", "", qemu=name, path=str(path))
    try:
        candidate = qemu.read(path, user)
        qemu.check_fit(candidate, trace=False, user=user)
    except HostError as error:
        mend = "install another QEMU" if name == "auto" else "fame-lab qemu rm, then fame-lab qemu get"
        return replace(check, verdict=_bad(name), found=str(error), mend=mend)
    starts = _starts(candidate, image, user, connection, explicit=name != "auto")
    counts = _counts(candidate, starts, user)
    abilities = (
        starts,
        counts,
        replace(counts, name=ORDER),
        _restores(starts, connection),
        _checker(candidate, counts, user),
    )
    usual = [each.works for each in abilities if each.name != CHECKER]
    return replace(
        check,
        verdict="ok" if all(usual) else "warn" if starts.works else _bad(name),
        found=f"{dotted(candidate.version)} {candidate.packaged}".rstrip() + f" at {path}",
        mend="" if all(each.works for each in abilities) else _mend(name),
        version=dotted(candidate.version),
        abilities=abilities,
    )


def _mend(name: str) -> str:
    if name != "auto":
        return "qemu='auto' is the host's own"
    if qemu_cache.current() is not None:
        return "qemu='backports', which is in the cache"
    return "fame-lab qemu get (Debian's newer QEMU beside the host's, for qemu='backports'), or another QEMU"


def _label(name: str) -> str:
    return "QEMU" if name == "auto" else f"QEMU {name}"


def _bad(name: str) -> Verdict:
    return "fail" if name == "auto" else "warn"  # without another one labs run all the same


def _starts(
    candidate: Qemu,
    image: Appliance | None,
    user: QemuUser | None,
    connection: virConnect | None,
    *,
    explicit: bool,
) -> Ability:
    if connection is None:
        return Ability(STARTS, False, "libvirt does not answer")
    try:
        if explicit:
            check_emulator(connection, candidate.path)
        if image is None:
            return Ability(STARTS, True, "not tried by a boot: the guest image is not built yet")
        works, words = _booted(candidate, image, user)
    except HostError as error:
        return Ability(STARTS, False, str(error))
    return Ability(STARTS, works, words)


def _counts(candidate: Qemu, starts: Ability, user: QemuUser | None) -> Ability:
    if not starts.works:
        return Ability(COUNTS, False, f"it {_STARTS_NONE}")
    try:
        qemu.check_fit(candidate, trace=True, user=user)
        version = trace_plugin.interface(candidate, user)
    except HostError as error:
        return Ability(COUNTS, False, str(error))
    return Ability(COUNTS, True, f"it loads the trace plugin, interface {version}")


def _restores(starts: Ability, connection: virConnect | None) -> Ability:
    if connection is None or not starts.works:
        return Ability(RESTORES, False, f"it {_STARTS_NONE}")
    if not migration.is_possible(int(connection.getLibVersion())):
        return Ability(RESTORES, False, "libvirt hands open files to QEMU from 8.2 on, and this one is older")
    return Ability(RESTORES, True, "not tried here; this libvirt hands the open files to QEMU that it takes")


def _checker(candidate: Qemu, counts: Ability, user: QemuUser | None) -> Ability:
    if not counts.works:
        return Ability(CHECKER, False, "it counts no accesses")
    if (version := trace_plugin.interface(candidate, user)) < _READS_REGISTERS:
        return Ability(
            CHECKER, False, f"plugins read registers from QEMU 9.0 on, and it has interface {version}"
        )
    return Ability(CHECKER, True)


def _booted(candidate: Qemu, image: Appliance, user: QemuUser | None) -> Trial:
    """Boot the guest image as a node's, emulated and without FAM; a boot that worked is remembered."""
    spec = LabSpec("doctor", nodes=1, fam="1M", accel="tcg", qemu=candidate.path)
    record = NodeRecord(spec, 0, "", (0, 0), False, "tcg", "", image.digest)
    boot = KernelBoot(image.kernel, image.initrd, image.cmdline(tsc_khz=None))
    xml = domain_xml(
        record, boot, console=None, personal={"node": record.node}, user=None, models=None, fam=False
    )
    words = ["stdio" if word == "mon:stdio" else word for word in qemu_args(xml)]
    file, memory = candidate.path.stat(), own_cache() / "qemu-trial.json"
    decisive = (words, file.st_size, file.st_mtime_ns, image.digest, user)
    key = hashlib.sha256(repr(decisive).encode()).hexdigest()
    if (trial := kvm_trials.remembered(memory, key)) is not None:
        return trial
    trial = _watch(words, record.node, user)
    if trial.works:
        kvm_trials.remember(memory, key, trial)
    return trial


def _watch(words: list[str], node: str, user: QemuUser | None) -> Trial:
    start, console = time.monotonic(), ""
    command = ["setpriv", "--pdeathsig", "KILL", *words]
    with running(command, user) as (process, complaints):
        for console in output(process):
            seconds = time.monotonic() - start
            if READY.format(node=node) in console:
                return Trial(True, f"the guest image booted in it in {seconds:.1f} s")
            if seconds > _BOOT_SECONDS:
                last = shortened(console.strip()[-200:]) if console.strip() else "nothing"
                return Trial(False, f"the guest image was not up in {seconds:.0f} s, and printed {last}")
        process.wait()
        complaints.seek(0)
        stderr = complaints.read(4000).decode(errors="replace").strip()
        return Trial(False, f"it ended while the guest image booted, and said {shortened(stderr, 300)}")
