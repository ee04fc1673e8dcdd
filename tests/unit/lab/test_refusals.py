"""What is refused before a lab starts: nothing is made then, and nothing that runs is touched."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from memory_lab import leftovers, memory_lab, raising

from fame_lab import Lab
from fame_lab.core.lab_directory import LabDirectory
from fame_lab.errors import FameError, HostError, LabError, SpecError
from fame_lab.testing import InMemoryHost


def test_a_name_that_runs_is_refused_and_nothing_happens_to_it(machine: InMemoryHost) -> None:
    with memory_lab(machine) as lab:
        before = machine.calls.order("create", "destroy")
        with pytest.raises(LabError, match=r"'twin' is running.*Lab\.attach\('twin'\).*fame-lab down twin"):
            memory_lab(machine).start()
        assert machine.calls.order("create", "destroy") == before
        assert lab.run("uname -n")["node01"].stdout == "node01\n"


def test_a_name_whose_directory_was_left_is_refused_and_the_directory_stays(machine: InMemoryHost) -> None:
    directory = LabDirectory.of("twin")
    directory.make(None)
    directory.write(directory.path / "kept", b"kept")
    with pytest.raises(
        LabError, match=r"exists or starts, or was killed and left .*`fame-lab ls`.*`fame-lab down twin`"
    ):
        memory_lab(machine).start()
    assert (directory.path / "kept").read_bytes() == b"kept"


def test_a_lab_that_runs_is_not_started_again(machine: InMemoryHost) -> None:
    with memory_lab(machine) as lab:
        with pytest.raises(LabError, match="stop it first"):
            lab.start()
        assert lab.is_running


def test_a_deadline_that_cannot_be_right_is_refused_before_anything_is_asked(machine: InMemoryHost) -> None:
    with pytest.raises(SpecError, match="deadline is -1"):
        memory_lab(machine).start(deadline=-1)
    assert machine.calls.log == []


@pytest.mark.parametrize("what", ["connect", "labs", "check network", "qemu", "image", "accelerator"])
def test_what_the_host_refuses_is_raised_before_anything_is_made(machine: InMemoryHost, what: str) -> None:
    machine.calls.before(what, raising(HostError(f"no {what}")))
    machine.calls.before("create", raising(AssertionError("a node was created")))
    with pytest.raises(HostError, match=f"^no {what}$"):
        memory_lab(machine, network="libvirt").start()
    assert machine.calls.order()[-1].startswith(what)
    assert leftovers(machine) == []


def test_what_the_host_is_asked_first_is_refused_first(machine: InMemoryHost) -> None:
    with pytest.raises(LabError, match="cancelled"):
        cancelled = threading.Event()
        cancelled.set()
        memory_lab(machine, network="libvirt").start(cancelled=cancelled)
    assert machine.calls.order() == [
        "connect",
        "labs",
        "check network twin",
        "qemu twin",
        "image appliance",
    ]


def test_more_memory_than_the_host_has_is_refused(
    machine: InMemoryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=(1 << 30) + 5))
    with pytest.raises(HostError, match="memory is 2G for each node, and this host has 1G: give less"):
        memory_lab(machine, memory="2G").start()
    assert "accelerator twin" not in machine.calls.order()
    assert leftovers(machine) == []


def test_more_fam_than_the_accelerator_can_address_is_refused(machine: InMemoryHost) -> None:
    machine.address_bits = 32
    with pytest.raises(SpecError, match=r"fam is 4G: .*the largest FAM that works is 2G"):
        memory_lab(machine, fam="4G").start()
    assert leftovers(machine) == []


def test_a_place_for_fam_that_is_not_there_is_refused(machine: InMemoryHost) -> None:
    with pytest.raises(HostError, match="No such file"):
        memory_lab(machine, fam_path="/nowhere/fam").start()
    assert machine.calls.order("create") == []
    assert leftovers(machine) == []


def test_the_fam_of_a_lab_that_runs_is_refused_and_kept(machine: InMemoryHost) -> None:
    with memory_lab(machine) as lab:
        lab.fam.write(0, b"kept")
        with pytest.raises(LabError, match="is the FAM of the running lab 'twin'"):
            memory_lab(machine, name="thief", fam_path=lab.fam.path).start()
        assert lab.fam.read(0, 4) == b"kept"
        lab.run("true")
    assert leftovers(machine) == leftovers(machine, "thief") == []


def test_of_many_starts_of_one_name_just_one_wins(machine: InMemoryHost) -> None:
    labs = [memory_lab(machine) for _ in range(6)]
    errors: list[str] = []

    def start(lab: Lab) -> None:
        try:
            lab.start()
        except LabError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=start, args=[lab]) for lab in labs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = (lab for lab in labs if lab.is_running)
    assert len(errors) == 5
    assert all("'twin'" in error for error in errors)
    assert winner.run("uname -n")["node01"].stdout == "node01\n"
    winner.stop()
    assert leftovers(machine) == []


REFUSALS: list[Callable[[InMemoryHost], Any]] = [
    lambda machine: memory_lab(machine, fam_path="/nowhere/fam"),
    lambda machine: memory_lab(machine, trace=True),
]


@pytest.mark.parametrize("refused", REFUSALS)
def test_a_start_that_is_refused_leaves_its_callers_event_alone(
    machine: InMemoryHost, refused: Callable[[InMemoryHost], Any]
) -> None:
    cancelled = threading.Event()
    with pytest.raises(FameError):
        refused(machine).start(cancelled=cancelled)
    assert not cancelled.is_set()
