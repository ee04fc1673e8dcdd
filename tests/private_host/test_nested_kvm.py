"""The kit under KVM, in a nested guest whose KVM this host's QEMU emulates: what it does, and not how fast.

Each step has its own deadline, and a boot of its own: an emulated KVM has been seen to panic after an hour. A
step in which the guest itself breaks so is begun once more.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from nested_kvm import NestedHost, NestedImage, build, nested_host

#: All of them: several minutes for the image, and up to an hour for each step.
pytestmark = [pytest.mark.vm, pytest.mark.soak, pytest.mark.timeout(3 * 3600)]

TRIAL_DEADLINE, STEP_DEADLINE = 1800.0, 2 * 3600.0
#: Which accelerator `auto` chooses, and why: for the host's QEMU, and for the newer one.
CHOOSE = """
from fame_lab.guest.images import appliance
from fame_lab.host import accelerator, qemu_cache
from fame_lab.host.libvirt.connection import connect, emulator, kvm_refusal, qemu_user
{patience}
connection = connect()
for program in (emulator(connection), qemu_cache.ensure().qemu.path):
    chosen = accelerator.choose(
        "auto",
        appliance.ensure(),
        qemu_user=qemu_user(connection),
        qemu=program,
        refused=lambda: kvm_refusal(connection, str(program)),
    )
    print(chosen.reason)
    assert chosen.kind == "kvm"
"""
#: Emulated twice, a kernel takes some seconds to boot. So KVM is tried patiently, and remembered as by auto.
PATIENTLY = "accelerator.FIRST_LINE_SECONDS, accelerator.READY_SECONDS = 300.0, 600.0"
NOT_AT_ALL = "accelerator.FIRST_LINE_SECONDS, accelerator.READY_SECONDS = 0.001, 0.001"
STEPS = {
    "demo": "make demo",
    "life cycle": "vm/test_lab.py",
    # Of two emulated nodes on its one CPU none sees the other out of order.
    "probes": "vm/test_probes_vm.py -k 'not emulator'",
    "guest faults": "vm/test_guest_faults.py",
    "FAM faults": "vm/test_fam_faults.py",
    "FAM limits": "vm/test_fam_limits.py",
    # Only TCG traces, and TCG within TCG misses its deadlines.
    "templates": "vm/test_template_vm.py -m 'not soak' -k 'not traced'",
}


@pytest.fixture(scope="module")
def image() -> Iterator[NestedImage]:
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="fame_lab-nested-") as directory:
        yield build(Path(directory))
        assert [each for each in psutil.process_iter(["cmdline"]) if directory in str(each.info)] == []


def done(host: NestedHost, command: str, deadline: float) -> str:
    """Run a command to its end, which must be a good one; return what it said."""
    ended = host.run(command, timeout=deadline)
    assert ended.returncode == 0, ended.stdout[-8000:]
    return ended.stdout


@pytest.mark.parametrize("step", STEPS)
def test_the_kit_works_under_kvm(image: NestedImage, step: str) -> None:
    with nested_host(image) as host:
        try:
            take(step, host)
        except (AssertionError, subprocess.TimeoutExpired):
            if not host.broke():
                raise
        else:
            return
    with nested_host(image) as host:
        take(step, host)


def take(step: str, host: NestedHost) -> None:
    """Take one step in a guest that has just booted."""
    chosen = choice(host, PATIENTLY)
    command = STEPS[step]
    if command.startswith("vm/"):
        command = f".venv/bin/pytest -q --timeout={STEP_DEADLINE:.0f} tests/{command}"
    done(host, command, STEP_DEADLINE)
    # No node had to be emulated, and KVM is not tried again, though udev touched /dev/kvm at each node.
    assert choice(host, NOT_AT_ALL) == chosen


def choice(host: NestedHost, patience: str) -> list[str]:
    """Return why `auto` chooses KVM there."""
    program = CHOOSE.format(patience=patience)
    return done(host, f".venv/bin/python - <<'END'\n{program}\nEND", TRIAL_DEADLINE).splitlines()[-2:]
