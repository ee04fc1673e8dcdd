"""The order in which a lab comes up: on a machine in memory, as tests/vm/test_twin_vm.py holds it to be."""

import logging
import threading

import pytest
from memory_lab import leftovers, memory_lab, raising, take_a_second_a_look

from fame_lab.core.jobs.progress import listen
from fame_lab.core.lab_directory import LabDirectory
from fame_lab.errors import BootError, DaemonError, HostError, LabError
from fame_lab.testing import InMemoryHost, NodeLife

#: What a boot asks again and again.
LOOKS = ("console", "state")


def index(machine: InMemoryHost, call: str) -> int:
    return machine.calls.order().index(call)


def started(machine: InMemoryHost, node: str) -> list[str]:
    """What was asked about a node, without its boot's looks."""
    return [call.what for call in machine.calls.log if call.who == node and call.what not in LOOKS]


def test_a_start_asks_for_each_thing_in_its_turn(machine: InMemoryHost) -> None:
    with memory_lab(machine, nodes=1):
        calls = [call for call in machine.calls.order() if not call.startswith(LOOKS)]
    assert calls == [
        "connect",
        "labs",
        "qemu twin",
        "image appliance",
        "accelerator twin",
        "create node01",
        "resume node01",
        "open node01",
        "run node01",
    ]


def test_a_start_tells_each_stage_of_each_node(machine: InMemoryHost) -> None:
    stages: list[tuple[str, str]] = []
    with memory_lab(machine).start(tell=lambda who, stage: stages.append((who, stage))):
        pass
    for node in ("node01", "node02"):
        of_node = [stage for who, stage in stages if who == node]
        assert of_node == ["creating", "booting", "connecting", "proving", "ready"]
    assert [stage for who, stage in stages if who == "twin"] == [
        "choosing the accelerator",
        "making keys and FAM",
    ]


def test_a_node_is_proved_when_it_has_booted(machine: InMemoryHost) -> None:
    machine.script("node01", NodeLife(boots_after=5))
    with memory_lab(machine, nodes=1):
        looks = [place for place, call in enumerate(machine.calls.order()) if call == "console node01"]
        assert len(looks) == 6
        assert index(machine, "resume node01") < looks[0]
        assert looks[-1] < index(machine, "open node01") < index(machine, "run node01")


def test_as_many_nodes_boot_at_a_time_as_there_are_cores(machine: InMemoryHost) -> None:
    both, third = threading.Barrier(2), threading.Event()
    booting = threading.Semaphore(0)
    for node in ("node01", "node02"):
        machine.calls.before("resume", lambda: both.wait(60), node)
        machine.calls.after("resume", booting.release, node)
        # Neither is up before the third is made, which does not boot meanwhile.
        machine.calls.before("console", lambda: third.wait(60), node)
    for _ in range(2):
        machine.calls.before("create", lambda: booting.acquire(timeout=60), "node03")
    machine.calls.after("create", third.set, "node03")
    with memory_lab(machine, nodes=5):
        pass
    assert machine.most_booting == 2
    assert set(machine.calls.order("resume")[:2]) == {"resume node01", "resume node02"}
    assert len(machine.calls.order("resume")) == 5
    opened = [index(machine, f"open {node}") for node in ("node01", "node02")]
    assert index(machine, "create node03") < min(opened)


@pytest.mark.parametrize("cores", [1, 3, 8])
def test_no_more_nodes_boot_at_a_time_than_there_are_cores(
    machine: InMemoryHost, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(cores)))
    for number in range(1, 11):
        machine.script(f"node{number:02}", NodeLife(boots_after=5))
    with memory_lab(machine, nodes=10, start="cold") as lab:
        assert len(lab.nodes) == 10
    assert 1 <= machine.most_booting <= cores


def test_a_network_is_made_before_the_nodes_and_proved_after_all_of_them(machine: InMemoryHost) -> None:
    stages: list[tuple[str, str]] = []
    with memory_lab(machine, network="libvirt").start(tell=lambda *stage: stages.append(stage)):
        created = [index(machine, f"create {node}") for node in ("node01", "node02")]
        assert index(machine, "check network twin") < index(machine, "make network twin") < min(created)
    assert stages[-1] == ("twin", "proving the network")
    # The proof of sharing, that of the address, and a word to the other node.
    assert started(machine, "node01").count("run") == 3


def test_nodes_from_a_template_are_restored_once_it_is_saved_and_gone(machine: InMemoryHost) -> None:
    with memory_lab(machine, start="template") as lab:
        assert started(machine, "template") == ["create", "resume", "save", "destroy"]
        for node in ("node01", "node02"):
            assert started(machine, node)[:3] == ["create", "restore", "resume"]
            assert index(machine, f"create {node}") > index(machine, "destroy template")
        assert {start["kind"] for start in lab.manifest()["start"].values()} == {"template"}
        assert list(LabDirectory.of("twin").path.glob("template.*")) == []
        assert list(LabDirectory.of("twin").path.glob("*.own.*")) == []
    assert leftovers(machine) == []


def test_a_template_that_dies_is_made_again_and_then_done_without(
    machine: InMemoryHost, caplog: pytest.LogCaptureFixture
) -> None:
    machine.script("template", NodeLife(dies="killed"))
    with memory_lab(machine, start="template") as lab:
        starts = lab.manifest()["start"].values()
        assert {start["reason"] for start in starts} == {"the template did not come up"}
        assert {start["kind"] for start in starts} == {"cold"}
    assert machine.calls.order("create")[:2] == ["create template", "create template"]
    assert "the template of twin did not come up" in caplog.text
    assert leftovers(machine) == []


def test_a_template_that_cannot_be_saved_is_done_without(machine: InMemoryHost) -> None:
    machine.calls.before("save", raising(BootError("no room")))
    with memory_lab(machine, start="template") as lab:
        assert {start["kind"] for start in lab.manifest()["start"].values()} == {"cold"}
    assert machine.calls.order("save") == ["save template"] * 2
    assert leftovers(machine) == []


def test_a_node_that_cannot_take_the_templates_state_boots_cold(machine: InMemoryHost) -> None:
    machine.calls.before("restore", raising(BootError("half a state")), "node02")
    with memory_lab(machine, start="template") as lab:
        start = lab.manifest()["start"]
        assert (start["node01"]["kind"], start["node02"]["kind"]) == ("template", "cold")
        assert "did not come up" in start["node02"]["reason"]
    assert started(machine, "node02")[:3] == ["create", "restore", "destroy"]
    assert leftovers(machine) == []


@pytest.mark.parametrize(
    "life", [NodeLife(dies="killed"), NodeLife(boots_after=None), NodeLife(answers=False)]
)
def test_a_boot_that_fails_is_tried_once_more(
    machine: InMemoryHost,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    life: NodeLife,
) -> None:
    take_a_second_a_look(machine, monkeypatch)
    machine.script("node01", life, NodeLife())
    with memory_lab(machine, nodes=1).start(deadline=2) as lab:
        assert lab.run("uname -n")["node01"].stdout == "node01\n"
    assert machine.calls.order("create", "destroy") == ["create node01", "destroy node01"] * 2
    assert "node01" in caplog.text and "trying once more" in caplog.text
    assert leftovers(machine) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_daemon_that_goes_away_while_a_node_is_made_is_asked_again(
    machine: InMemoryHost, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    errors = iter([DaemonError("libvirtd went away")])

    def go_away() -> None:
        for error in errors:
            raise error

    getattr(machine.calls, when)("create", go_away, "node01")
    with memory_lab(machine) as lab:
        assert lab.run("uname -n")["node01"].stdout == "node01\n"
    # What was made all the same is not in its own way.
    calls = [call for call in started(machine, "node01") if call in ("create", "destroy")]
    again = ["create", "destroy", "create"] if when == "after" else ["create", "create", "destroy"]
    assert calls[:3] == again
    assert "libvirtd went away; trying once more" in caplog.text
    assert leftovers(machine) == []


def test_a_refusal_of_a_host_is_not_tried_again(
    machine: InMemoryHost, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    machine.calls.before("create", raising(HostError("no such device")), "node01")
    with pytest.raises(HostError, match="no such device"):
        memory_lab(machine, nodes=1).start()
    assert machine.calls.order("create") == ["create node01"]
    assert "trying once more" not in caplog.text


def test_a_start_is_heard_as_a_job(machine: InMemoryHost) -> None:
    steps: list[tuple[int, int | None, str]] = []
    with listen(lambda *words: steps.append(words)), memory_lab(machine):
        assert steps[0] == (0, 2, "twin")
        assert steps[-1] == (2, 2, "ready")
        assert any("node02 booting" in words for _, _, words in steps)


def test_a_lab_that_has_stopped_says_so_and_can_start_again(machine: InMemoryHost) -> None:
    lab = memory_lab(machine, nodes=1)
    for _ in range(2):
        with pytest.raises(LabError, match="not running"):
            lab.nodes  # noqa: B018
        with lab:
            assert lab.run("uname -n")["node01"].stdout == "node01\n"
        assert not lab.is_running
        with pytest.raises(LabError, match="not running"):
            lab.run("true")
        assert leftovers(machine) == []
    assert machine.calls.order("create", "destroy") == ["create node01", "destroy node01"] * 2


def test_a_node_that_is_restarted_is_ended_and_proved_anew(machine: InMemoryHost) -> None:
    with memory_lab(machine, start="template") as lab:
        before = len(machine.calls.log)
        lab.nodes[1].restart()
        calls = [call.what for call in machine.calls.log[before:] if call.what not in LOOKS]
        assert calls == ["destroy", "create", "resume", "open", "run"]
        start = lab.manifest()["start"]
        assert (start["node01"]["kind"], start["node02"]["kind"]) == ("template", "cold")
        assert "restarted" in start["node02"]["reason"]
        assert lab.run("uname -n")["node02"].stdout == "node02\n"
    assert leftovers(machine) == []
