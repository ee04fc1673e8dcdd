"""The process that starts a lab killed, at any moment: what it leaves is seen, and can be taken away."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from private_host import PrivateHost, needs_root, private_host

pytestmark = [pytest.mark.vm, needs_root]

# In a `with` block, or as a notebook does, or let go of.
OWNER = """
import sys, time
from fame_lab import Lab, LabSpec
how, name, path = sys.argv[1:]
def tell(who, stage):
    print(stage, flush=True)
lab = Lab(LabSpec(name, nodes=2, fam="1M", fam_path=path), progress=False).start(tell=tell)
if how == "detach":
    lab.detach()
if how != "end":
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def host() -> Iterator[PrivateHost]:
    with private_host() as machine:
        yield machine


@pytest.fixture(scope="module")
def beside(host: PrivateHost) -> Iterator[str]:
    """A lab that nothing happens to, with something in its FAM."""
    host.fame_lab("up", "beside", "--nodes", "1", "--fam", "1M")
    yield "beside"
    host.fame_lab("down", "beside")
    assert host.leftovers("beside") == []


def listed(host: PrivateHost, name: str) -> dict[str, Any] | None:
    return next((lab for lab in json.loads(host.fame_lab("ls", "--json")) if lab["name"] == name), None)


def kill_owner(host: PrivateHost, name: str, how: str, at: str | float) -> None:
    """Start a lab and kill its owner when it has come to a stage, or after so many seconds."""
    process = host.start(OWNER, how, name, f"/dev/shm/{name}.fam")  # noqa: S108
    assert process.stdout is not None
    if isinstance(at, str):
        while process.stdout.readline() != f"{at}\n":
            assert process.poll() is None, process.communicate()[1]
    else:
        time.sleep(at)
    host.kill(process)


def take_away(host: PrivateHost, name: str, beside: str) -> None:
    """Take orphans away, and see that just this one was taken."""
    assert host.fame_lab("down", "--orphans") in (f"{name} is gone\n", "")
    assert host.leftovers(name) == []
    assert host.run("from pathlib import Path; print(*Path('/dev/shm').glob('*.fam'))") == "\n"
    assert host.fame_lab("run", beside, "--", "uname -n") == "node01: node01\n"


@pytest.mark.parametrize("stage", ["making keys and FAM", "booting"])
def test_a_start_whose_owner_is_killed_is_an_orphan(host: PrivateHost, beside: str, stage: str) -> None:
    kill_owner(host, "killed", "start", stage)
    entry = listed(host, "killed")
    assert entry is not None and entry["orphan"]
    take_away(host, "killed", beside)


def test_a_lab_whose_owner_is_killed_can_be_taken_up_and_is_an_orphan_until_then(
    host: PrivateHost, beside: str
) -> None:
    kill_owner(host, "killed", "start", "up")
    entry = listed(host, "killed")
    assert (
        entry is not None
        and entry["orphan"]
        and entry["owner"] == "orphaned"
        and entry["standing"] == "forsaken"
    )
    assert "its owner was killed; fame-lab down --orphans" in host.fame_lab("ls")
    user = host.start(
        "import time; from fame_lab import Lab; lab = Lab.attach('killed')\n"
        "print(lab.run('uname -n')['node02'].stdout, flush=True); time.sleep(600)"
    )
    assert user.stdout is not None and user.stdout.readline() == "node02\n"
    assert host.fame_lab("down", "--orphans") == ""
    host.kill(user)
    take_away(host, "killed", beside)


@pytest.mark.parametrize("how", ["detach", pytest.param("end", marks=pytest.mark.soak)])
def test_a_lab_that_its_owner_left_running_is_no_orphan(host: PrivateHost, how: str) -> None:
    if how == "detach":
        kill_owner(host, "kept", how, "up")
    else:
        host.run(OWNER, how, "kept", "/dev/shm/kept.fam")  # noqa: S108
    assert host.fame_lab("down", "--orphans") == ""
    assert host.fame_lab("run", "kept", "--", "uname -n") == "node01: node01\nnode02: node02\n"
    host.fame_lab("down", "kept")
    assert host.leftovers("kept") == []


KERNEL = """
import os, signal, time
from jupyter_client.manager import KernelManager
from fame_lab import Lab

def listed():
    return [(entry.owner_state, entry.is_orphan) for entry in Lab.list() if entry.name == "noted"]

def execute(words):
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=120)
    reply = client.execute_interactive(words, timeout=200)
    assert reply["content"]["status"] == "ok", reply
    client.stop_channels()

start = "lab = Lab(LabSpec('noted', nodes=1, fam='1M'), progress=False).start()"
manager = KernelManager(kernel_name="python3", transport="ipc", connection_file="/run/kernel.json")
manager.shutdown_wait_time = 60
manager.start_kernel()
try:
    execute("from fame_lab import Lab, LabSpec; " + start)
    assert listed() == [("owned", False)]
    manager.restart_kernel()
    assert listed() == [("detached", False)]
    execute("from fame_lab import Lab, LabSpec; Lab.attach('noted').stop(); " + start)
    assert listed() == [("owned", False)]
    os.kill(manager.provisioner.pid, signal.SIGKILL)
    while manager.is_alive(): time.sleep(0.05)
    assert listed() == [("orphaned", True)]
    attached = Lab.attach("noted")
    assert attached.run("uname -n")["node01"].stdout == "node01\\n"
    assert listed() == [("owned", False)]
    attached.detach()
finally:
    manager.shutdown_kernel(now=True)
"""


def test_a_lab_is_left_on_purpose_by_a_kernel_that_restarts_and_an_orphan_of_one_that_is_killed(
    host: PrivateHost, beside: str
) -> None:
    host.run(KERNEL)
    take_away(host, "noted", beside)
