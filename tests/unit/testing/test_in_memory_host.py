"""What a test scripts of a machine in memory, and what it is told."""

import pytest
from memory_lab import memory_lab, raising

from fame_lab.errors import HostError, SharingError, SpecError, SSHError
from fame_lab.testing import CALLS, Call, InMemoryHost, NodeLife


def test_a_call_that_there_is_not_is_refused_with_those_that_there_are(machine: InMemoryHost) -> None:
    with pytest.raises(SpecError, match="there is no call 'explode': give one of connect, labs"):
        machine.calls.before("explode", lambda: None)


def test_every_call_that_is_named_is_made(machine: InMemoryHost) -> None:
    machine.script("node01", NodeLife(boots_after=3))
    with memory_lab(machine, start="template"):
        pass
    with memory_lab(machine, network="libvirt", start="cold"):
        pass
    assert {call.what for call in machine.calls.log} == set(CALLS)


def test_what_is_done_before_a_call_comes_before_its_work_and_after_it_after(machine: InMemoryHost) -> None:
    there: list[int] = []
    machine.calls.before("create", lambda: there.append(len(machine.leftovers())))
    machine.calls.after("create", lambda: there.append(len(machine.leftovers())))
    with memory_lab(machine, nodes=1):
        assert there == [0, 2]


def test_what_is_done_at_a_call_of_one_node_is_not_done_at_anothers(machine: InMemoryHost) -> None:
    named: list[str] = []
    machine.calls.before("create", lambda: named.append("node02"), "node02")
    with memory_lab(machine, nodes=3):
        pass
    assert named == ["node02"]
    assert machine.calls.log.count(Call("create", "node02")) == 1


def test_each_life_of_a_node_is_as_it_is_scripted(machine: InMemoryHost) -> None:
    machine.script("node01", NodeLife(console="first\n"), NodeLife(console="later\n"))
    with memory_lab(machine, nodes=1) as lab:
        consoles = [lab.nodes[0].console()]
        for _ in range(2):
            lab.nodes[0].restart()
            consoles.append(lab.nodes[0].console())
    assert [text.splitlines()[0] for text in consoles] == ["first", "later", "later"]


def test_what_is_left_is_named(machine: InMemoryHost) -> None:
    lab = memory_lab(machine, nodes=1, network="libvirt").start()
    assert machine.leftovers() == [
        "domain fame-twin-node01",
        "log fame-twin-node01",
        "network twin",
        "connection node01",
    ]
    lab.stop()
    assert machine.leftovers() == []


def test_a_node_that_is_killed_is_gone_and_its_log_stays(machine: InMemoryHost) -> None:
    with memory_lab(machine, nodes=1) as lab:
        assert machine.kill("twin", "qemu: the end")
        assert lab.nodes[0].state == "gone"
        assert machine.leftovers() == ["log fame-twin-node01", "connection node01"]
        with pytest.raises(HostError, match="no monitor"):
            lab.nodes[0].domain.qmp("query-status")
        assert not machine.kill("twin")


def test_a_node_shares_fam_as_it_is_scripted(machine: InMemoryHost) -> None:
    with memory_lab(machine, nodes=1) as lab:
        control = lab.fam.control
        assert lab.fam.read(control.host_nonce(0), 8) != bytes(8) != lab.fam.read(control.node_nonce(0), 8)
    machine.script("node01", NodeLife(shares=False))
    with pytest.raises(SharingError):
        memory_lab(machine, nodes=1).start()


def test_a_command_that_it_does_not_know_says_nothing(machine: InMemoryHost) -> None:
    with memory_lab(machine, nodes=1) as lab:
        for command in ("true", "echo 'unclosed", "", "fame-probe"):
            result = lab.nodes[0].run(command)
            assert (result.stdout, result.stderr, result.exit_status) == ("", "", 0)


def test_an_error_at_a_command_is_raised_to_whoever_runs_it(machine: InMemoryHost) -> None:
    with memory_lab(machine, nodes=2) as lab:
        machine.calls.before("run", raising(SSHError("node02 went away")), "node02")
        with pytest.raises(SSHError, match="node02 went away"):
            lab.run("true")


def test_a_trace_is_refused(machine: InMemoryHost) -> None:
    with pytest.raises(SpecError, match="trace is True"):
        memory_lab(machine, trace=True).start()
