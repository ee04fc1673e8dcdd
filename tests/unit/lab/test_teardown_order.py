"""The order in which a lab goes, and that a failure in the middle keeps nothing else from going."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from memory_lab import leftovers, memory_lab, raising

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.errors import HostError, LabError, SSHError
from fame_lab.lab.teardown import tear_down
from fame_lab.spec.fam_layout import CONTROL_SIZE
from fame_lab.testing import InMemoryHost

MIB = 1 << 20


@pytest.fixture
def directory(machine: InMemoryHost) -> LabDirectory:
    return LabDirectory.of("twin")


@pytest.fixture
def existing(tmp_path: Path) -> Path:
    path = tmp_path / "existing"
    path.write_bytes(os.urandom(MIB))
    return path


def test_a_lab_goes_in_its_order(machine: InMemoryHost) -> None:
    with memory_lab(machine, network="libvirt"):
        before = len(machine.calls.log)
    end = machine.calls.order()[before:]
    assert end[:2] == ["find twin", "find twin"]  # nodes, and a template
    assert sorted(end[2:4]) == ["destroy node01", "destroy node02"]
    assert end[4:] == [
        *("find twin", "find twin"),  # again: libvirt may yet be at work on one
        "end network twin",
        *("remove logs twin", "remove logs twin"),  # it may write a last line
        "close",
    ]
    assert leftovers(machine) == []


def test_keys_fam_and_record_are_there_until_the_nodes_and_the_network_are_gone(
    machine: InMemoryHost, directory: LabDirectory
) -> None:
    files: dict[str, set[str]] = {}

    def look(what: str) -> None:
        if what not in files:
            files[what] = {path.name for path in directory.path.iterdir()}

    lab = memory_lab(machine, network="libvirt").start()
    for what in ("destroy", "end network", "remove logs"):
        machine.calls.before(what, lambda what=what: look(what))  # type: ignore[misc]
    lab.stop()
    assert files["destroy"] >= {"fam", "id_ed25519", "known_hosts", "record.xml", "owner"}
    assert files["end network"] >= {"fam", "record.xml"}
    assert "fam" not in files["remove logs"]
    assert "record.xml" in files["remove logs"]
    assert not directory.path.exists()


def test_a_lab_that_was_let_go_is_an_orphan_while_it_is_taken_away(
    machine: InMemoryHost, directory: LabDirectory
) -> None:
    lab = memory_lab(machine).start()
    lab.detach()
    assert not directory.owner.exists()
    assert leftovers(machine) != []
    presence: list[bool] = []
    machine.calls.before("destroy", lambda: presence.append(directory.owner.exists()))
    assert tear_down(machine, "twin")
    assert presence == [True, True]
    assert leftovers(machine) == []


def test_nodes_are_ended_at_once_so_that_one_which_hangs_keeps_no_other_waiting(
    machine: InMemoryHost,
) -> None:
    others = threading.Barrier(3)
    machine.calls.before("destroy", lambda: others.wait(60))
    with memory_lab(machine, nodes=3):
        pass
    assert leftovers(machine) == []


def test_a_node_that_cannot_be_ended_keeps_no_other_from_going_and_the_lab_can_be_ended_again(
    machine: InMemoryHost, directory: LabDirectory
) -> None:
    errors: Iterator[HostError] = iter([HostError("libvirt cannot end fame-twin-node02")])

    def fail_once() -> None:
        for error in errors:
            raise error

    lab = memory_lab(machine, nodes=3).start()
    machine.calls.before("destroy", fail_once, "node02")
    with pytest.raises(HostError, match="cannot end fame-twin-node02"):
        lab.stop()
    assert [each for each in machine.leftovers() if each.startswith("domain")] == ["domain fame-twin-node02"]
    # By its directory it is found, and by its record FAM.
    assert directory.record.exists()
    assert directory.fam.exists()
    assert lab.is_running
    lab.stop()
    assert not lab.is_running
    assert leftovers(machine) == []


def test_a_lab_whose_nodes_cannot_be_ended_in_a_failed_start_can_be_taken_away_later(
    machine: InMemoryHost, directory: LabDirectory
) -> None:
    away = threading.Event()

    def fail_while_away() -> None:
        if not away.is_set():
            raise HostError("libvirtd does not answer")

    machine.calls.before("open", raising(HostError("refused")))
    machine.calls.before("destroy", fail_while_away)
    with pytest.raises(HostError, match="does not answer"):
        memory_lab(machine, nodes=1).start()
    assert directory.record.exists()
    away.set()
    assert tear_down(machine, "twin")
    assert leftovers(machine) == []


@pytest.mark.parametrize("what", ["find", "end network", "remove logs"])
def test_an_end_that_fails_at_any_call_is_whole_when_it_is_repeated(machine: InMemoryHost, what: str) -> None:
    errors: Iterator[HostError] = iter([HostError(f"refused at {what}")])

    def fail_once() -> None:
        for error in errors:
            raise error

    lab = memory_lab(machine, network="libvirt").start()
    machine.calls.before(what, fail_once)
    with pytest.raises(HostError, match=f"refused at {what}"):
        lab.stop()
    lab.stop()
    assert leftovers(machine) == []


def test_a_domain_that_comes_up_late_is_ended_too(machine: InMemoryHost) -> None:
    lab = memory_lab(machine).start()
    records = [lab.nodes[0].domain.record]

    def come_up_late() -> None:  # as one that a killed start has asked for
        if records:
            machine.create("", records.pop())

    machine.calls.after("destroy", come_up_late, "node01")
    lab.stop()
    assert machine.calls.order("destroy").count("destroy node01") == 2
    assert leftovers(machine) == []


def test_an_end_is_safe_to_repeat(machine: InMemoryHost) -> None:
    lab = memory_lab(machine).start()
    lab.stop()
    before = len(machine.calls.log)
    lab.stop()
    assert machine.calls.log[before:] == []
    assert not tear_down(machine, "twin")


def test_a_node_of_a_lab_that_has_ended_says_so(machine: InMemoryHost) -> None:
    with memory_lab(machine, nodes=1) as lab:
        (node,) = lab.nodes
    with pytest.raises(SSHError, match="node01: its lab, twin, has ended"):
        node.run("true")


def test_another_lab_that_came_in_its_place_is_let_be(machine: InMemoryHost) -> None:
    lab = memory_lab(machine).start()
    tear_down(machine, "twin")
    with memory_lab(machine) as other:
        lab.stop()
        assert other.run("uname -n")["node01"].stdout == "node01\n"
    assert leftovers(machine) == []


def test_an_interrupt_during_the_end_is_raised_when_all_is_gone(
    machine: InMemoryHost, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    lab = memory_lab(machine).start()
    main = threading.main_thread().ident
    assert main is not None
    machine.calls.before("destroy", lambda: signal.pthread_kill(main, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        lab.stop()
    assert leftovers(machine) == []


def test_a_file_of_the_users_own_stays_and_gets_its_end_back(machine: InMemoryHost, existing: Path) -> None:
    content = existing.read_bytes()
    with memory_lab(machine, fam_path=existing) as lab:
        lab.fam.write(100, b"changed")
        assert existing.read_bytes()[-CONTROL_SIZE:] != content[-CONTROL_SIZE:]
    assert existing.read_bytes() == content[:100] + b"changed" + content[107:]
    assert leftovers(machine) == []


def test_a_file_of_the_users_own_stays_as_it_was_when_the_start_fails(
    machine: InMemoryHost, existing: Path
) -> None:
    content = existing.read_bytes()
    machine.calls.before("run", raising(LabError("refused")))
    with pytest.raises(LabError, match="refused"):
        memory_lab(machine, fam_path=existing).start()
    assert existing.read_bytes() == content
    assert leftovers(machine) == []


def test_a_file_that_the_lab_made_where_it_was_told_goes_with_it(
    machine: InMemoryHost, tmp_path: Path
) -> None:
    path = tmp_path / "made"
    with memory_lab(machine, fam_path=path) as lab:
        assert lab.fam.created
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()
