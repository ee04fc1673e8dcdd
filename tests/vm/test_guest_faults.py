"""What befalls one guest befalls nobody else: the others run on, and what FAM holds is whole."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import leftovers, qemu_processes

from fame_lab import Lab, LabSpec
from fame_lab.errors import FameError, HostError, SSHError
from fame_lab.host.libvirt import qemu_monitor
from fame_lab.lab.node import Node

pytestmark = pytest.mark.vm
NAME = f"ailing-{os.getpid()}"
MIB = 1 << 20
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


@pytest.fixture(scope="module")
def ailing() -> Iterator[Lab]:
    """A lab of which the last node is done all kinds of harm to."""
    with Lab(LabSpec(NAME, nodes=2, fam="4M"), progress=False) as lab:
        yield lab
    assert leftovers(NAME) == []


@pytest.fixture
def sick(ailing: Lab) -> Iterator[Node]:
    """The node, whole; afterwards the others' FAM must hold what it held."""
    node = ailing.nodes[-1]
    if node.state != "running":
        node.restart()
    pattern = os.urandom(ailing.fam.control.offset)
    ailing.fam.write(0, pattern)
    yield node
    assert ailing.fam.read(0, len(pattern)) == pattern
    (line,) = ailing.nodes[0].probe("load", "--fam", "/dev/fam", "--offset", str(MIB), "--size", "4096")
    assert bytes(line["bytes"]) == pattern[MIB : MIB + 4096]


def pid(node: Node) -> int:
    (process,) = (
        each
        for each in qemu_processes(NAME)
        if f"-{node.name}".encode() in Path(f"/proc/{each}/cmdline").read_bytes()
    )
    return process


def until_it_has_booted_anew(node: Node, before: str) -> None:
    while True:  # the test's own timeout ends it
        try:
            if node.run(BOOT_ID, timeout=5).stdout != before:
                return
        except SSHError:
            time.sleep(0.2)


@pytest.mark.parametrize(
    "harm",
    [
        "echo c > /proc/sysrq-trigger",
        *(pytest.param(each, marks=pytest.mark.soak) for each in ("reboot", "reboot -f")),
    ],
)
def test_a_guest_that_reboots_or_panics_comes_back_by_itself(ailing: Lab, sick: Node, harm: str) -> None:
    before = sick.run(BOOT_ID).stdout
    sick.run(f"(sleep 0.2; {harm}) > /dev/null 2>&1 &")
    until_it_has_booted_anew(sick, before)
    assert ailing.run("uname -n")[sick.name].stdout == f"{sick.name}\n"
    (line,) = sick.probe("load", "--fam", "/dev/fam", "--offset", "4096", "--size", "8")
    assert bytes(line["bytes"]) == ailing.fam.read(4096, 8)


def test_a_guest_that_powers_off_is_gone_and_can_be_brought_back(ailing: Lab, sick: Node) -> None:
    sick.run("(sleep 0.2; poweroff -f) > /dev/null 2>&1 &")
    while sick.state != "gone":
        time.sleep(0.1)
    with pytest.raises(FameError, match=r"its QEMU has ended \(it was powered off from within\).*restart"):
        sick.run("true")
    sick.restart()
    assert sick.run("uname -n").stdout == f"{sick.name}\n"


def test_a_port_that_another_takes_after_a_qemu_has_died_is_not_asked(ailing: Lab, sick: Node) -> None:
    import socket

    port = sick.ssh_port
    os.kill(pid(sick), signal.SIGKILL)
    while sick.state != "gone":
        time.sleep(0.1)
    with socket.create_server(("127.0.0.1", port)) as thief:
        with pytest.raises(FameError, match="its QEMU has ended"):
            sick.run("true")
        thief.setblocking(False)
        with pytest.raises(BlockingIOError):
            thief.accept()
        sick.restart()  # QEMU finds itself a port that is free
        assert sick.ssh_port != port
        assert sick.run("uname -n").stdout == f"{sick.name}\n"


def test_a_guest_that_is_stopped_is_given_up_and_goes_on_where_it_was(ailing: Lab, sick: Node) -> None:
    with sick.domain.paused():
        with pytest.raises(SSHError):
            sick.run("true", timeout=2)
        with pytest.raises(SSHError):
            ailing.run("true", timeout=2)
        assert sick.state == "paused"
    assert sick.run("uname -n").stdout == f"{sick.name}\n"


def test_a_qemu_that_hangs_is_told_and_can_be_replaced(
    ailing: Lab, sick: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu_monitor, "PATIENCE", 2.0)
    sick.run("true")
    os.kill(pid(sick), signal.SIGSTOP)
    with pytest.raises(SSHError, match=r"opens no session|went away|takes longer"):
        sick.run("true", timeout=2)
    with pytest.raises(HostError, match=r"does not answer within 2 s.*restart\(\)"):
        sick.domain.qmp("query-status")
    assert {listing.name for listing in Lab.list()} >= {NAME}
    assert ailing.nodes[0].run("uname -n").stdout == "node01\n"
    sick.restart()
    assert sick.run("uname -n").stdout == f"{sick.name}\n"


@pytest.mark.parametrize(
    "when", ["1970-01-02 00:00:00", pytest.param("2037-01-01 00:00:00", marks=pytest.mark.soak)]
)
def test_a_guest_whose_clock_jumps_runs_commands_with_timeouts_and_measures(
    ailing: Lab, sick: Node, when: str
) -> None:
    sick.run(f"date -s '{when}'")
    assert sick.run("uname -n", timeout=20).stdout == f"{sick.name}\n"
    with pytest.raises(SSHError, match="takes longer"):
        sick.run("sleep 30", timeout=1)
    assert not ailing.probe("timer").failed
