"""Whatever is killed at whatever moment: what is left can be taken away, and nobody else loses anything."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_host import PrivateHost, needs_root, private_host

pytestmark = [pytest.mark.vm, needs_root]

# All that a lab goes through, with a FAM file outside its directory. What goes wrong is told and no more.
LIFE = """
import faulthandler
from fame_lab import Lab, LabSpec
from fame_lab.errors import FameError
faulthandler.dump_traceback_later(240, exit=True)
try:
    with Lab(LabSpec("victim", nodes=1, fam="1M", fam_path="/dev/shm/victim.fam"), progress=False) as lab:
        lab.probe("timer")
        lab.nodes[0].restart()
        lab.run("true")
except FameError as error:
    print(error)
"""
BESIDE = """
import random
from fame_lab import Lab, LabSpec
lab = Lab(LabSpec("beside", nodes=1, fam="4M"), progress=False).start()
lab.fam.write(0, random.Random(5).randbytes(lab.fam.control.offset))
"""
AFTERWARDS = """
import random
from pathlib import Path
from leftovers import leftovers
from fame_lab import Lab
from fame_lab.cli import main as cli
assert {entry.name for entry in Lab.list()} <= {"victim", "beside"}
assert cli.main(["down", "--orphans"]) == 0
assert leftovers("victim") == []
assert list(Path("/dev/shm").glob("*.fam")) == []
lab = Lab.attach("beside")
assert lab.fam.read(0, lab.fam.control.offset) == random.Random(5).randbytes(lab.fam.control.offset)
assert lab.run("uname -n")["node01"].stdout == "node01\\n"
"""


@pytest.fixture(scope="module")
def host() -> Iterator[PrivateHost]:
    with private_host() as machine:
        machine.run(BESIDE)
        yield machine
        machine.fame_lab("down", "beside")
        assert machine.leftovers("beside") == []


@pytest.fixture(scope="module")
def lifetime(host: PrivateHost) -> float:
    """Seconds that a life takes that nobody cuts short."""
    began = time.monotonic()
    assert host.run(LIFE) == ""
    return time.monotonic() - began


def kill(host: PrivateHost, lifetime: float, what: str, moment: float) -> None:
    """Live a life, kill something of it at that part of its time, and see what is left."""
    seconds = moment * lifetime
    process = host.start(LIFE)
    time.sleep(seconds)
    if what == "owner":
        host.kill(process)
    else:
        for pid in host.processes(what):
            with contextlib.suppress(OSError):  # it has just ended
                if what == "libvirtd" or b"fame-victim" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
        _, complaints = process.communicate()
        assert process.returncode == 0, f"{what} killed after {seconds:.2f} s: {complaints}"
    try:
        host.run(AFTERWARDS)
    except AssertionError as error:
        raise AssertionError(f"{what} killed after {seconds:.2f} s of {lifetime:.2f}: {error}") from None


@pytest.mark.parametrize(
    ("what", "moment"),
    [("owner", 0.8), ("qemu-system-x86_64", 0.4), ("libvirtd", 0.6)],
)
def test_a_kill_leaves_nothing_and_costs_nobody_else_anything(
    host: PrivateHost, lifetime: float, what: str, moment: float
) -> None:
    kill(host, lifetime, what, moment)


@pytest.mark.soak
@pytest.mark.parametrize("attempt", range(100))
def test_a_hundred_random_kills_leave_nothing_and_cost_nobody_else_anything(
    host: PrivateHost, lifetime: float, attempt: int
) -> None:
    what = random.choice(["owner", "owner", "qemu-system-x86_64", "libvirtd"])  # noqa: S311
    kill(host, lifetime, what, random.random())  # noqa: S311
