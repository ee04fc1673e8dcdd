"""libvirt's daemons killed under labs: QEMU outlives them, and so does what the kit promises."""

from collections.abc import Iterator

import pytest
from private_host import PrivateHost, needs_root, private_host

pytestmark = [pytest.mark.vm, needs_root]

KILL = """
import os, random, signal, sys, threading, time
from pathlib import Path
from fame_lab import Lab, LabSpec

def kill(daemon):
    for entry in Path("/proc").glob("[0-9]*"):
        if (entry / "comm").read_text().strip() == daemon:
            os.kill(int(entry.name), signal.SIGKILL)
            while (entry / "exe").exists(): time.sleep(0.01)
"""

AFTER_A_WHILE = """
import time
from fame_lab.host.libvirt import daemons
from fame_lab import Lab, LabSpec

daemons.IDLE_SECONDS["libvirtd"] = 2
with Lab(LabSpec("daemons", nodes=1, fam="1M"), progress=False) as lab:
    time.sleep(6)
    lab.nodes[0].run("echo after a while >/dev/ttyS0")
    end = time.monotonic() + 30
    while "after a while" not in lab.nodes[0].console():
        assert time.monotonic() < end, lab.nodes[0].console()
        time.sleep(0.1)
"""

WHILE_IT_RUNS = (
    KILL
    + """
with Lab(LabSpec("daemons", nodes=2, fam="1M"), progress=False) as lab:
    lab.fam.write(0, b"kept")
    attached = Lab.attach("daemons")
    for daemon in ("libvirtd", "virtlogd"):
        kill(daemon)
        assert [node.state for node in lab.nodes] == ["running", "running"]
        assert [entry.states for entry in Lab.list()] == [{"node01": "running", "node02": "running"}]
        assert attached.run("uname -n")["node02"].stdout == "node02\\n"
        lab.nodes[1].restart()
        assert lab.run("uname -n")["node02"].stdout == "node02\\n"
        assert lab.fam.read(0, 4) == b"kept"
        assert lab.manifest()["versions"]["libvirt"]
        attached.detach()
        attached = Lab.attach("daemons")
    kill("libvirtd")
    attached.detach()
"""
)

DURING_A_START = (
    KILL
    + """
lab = Lab(LabSpec("daemons", nodes=2, fam="1M"), progress=False)
stages = iter(sys.argv[1:])
wanted = next(stages)
def tell(who, stage):
    global wanted
    if stage == wanted:
        kill("libvirtd")
        wanted = next(stages, None)
with lab.start(tell=tell):
    assert wanted is None
    assert {name: ran.stdout for name, ran in lab.run("uname -n").items()} == {
        "node01": "node01\\n", "node02": "node02\\n"}
"""
)


@pytest.fixture(scope="module")
def host() -> Iterator[PrivateHost]:
    with private_host() as machine:
        yield machine


def test_a_console_is_kept_when_nobody_has_asked_libvirt_anything_for_a_while(host: PrivateHost) -> None:
    host.run(AFTER_A_WHILE)


def test_a_lab_outlives_libvirts_daemons(host: PrivateHost) -> None:
    host.run(WHILE_IT_RUNS)
    assert host.leftovers("daemons") == []


@pytest.mark.parametrize("stages", [("creating", "booting"), ("proving",)])
def test_a_start_outlives_libvirtd(host: PrivateHost, stages: tuple[str, ...]) -> None:
    host.run(DURING_A_START, *stages)
    assert host.leftovers("daemons") == []
