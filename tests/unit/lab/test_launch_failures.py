"""A start that fails, wherever it fails: nothing is left, and the error says what was wrong and where."""

import threading

import pytest
from memory_lab import AT, KINDS, at, leftovers, memory_lab, raising, take_a_second_a_look

from fame_lab.errors import BootError, DaemonError, FameError, HostError, LabError, SharingError, SSHError
from fame_lab.lab import boot
from fame_lab.lab.launch_progress import LaunchProgress
from fame_lab.testing import InMemoryHost, NodeLife

#: What a start comes to all the same, without the template.
DONE_WITHOUT = ("template", "save")
STAGES = {
    "cold": [
        "choosing the accelerator",
        "making keys and FAM",
        *("creating", "booting", "connecting", "proving", "ready"),
    ],
    "template": ["making a template", "waking"],
    "network": ["proving the network"],
}
CONSOLE = "\n".join(f"line {number}" for number in range(1, 8)) + "\n"


class AlarmError(BaseException):
    """No error of this kit, nor of any other."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("kind", "what"), [each for each in AT if each != DONE_WITHOUT])
def test_a_start_that_fails_at_any_call_leaves_nothing(
    machine: InMemoryHost, kind: str, what: str, when: str
) -> None:
    at(machine, what, raising(HostError(f"refused at {what}")), when=when)
    with pytest.raises(HostError, match=f"^refused at {what}$"):
        memory_lab(machine, **KINDS[kind]).start()
    assert leftovers(machine) == []


@pytest.mark.parametrize(("kind", "what"), [each for each in AT if each[1] in ("resume", "open", "run")])
def test_an_error_of_any_kind_at_a_node_leaves_nothing(machine: InMemoryHost, kind: str, what: str) -> None:
    at(machine, what, raising(AlarmError()))
    with pytest.raises(AlarmError):
        memory_lab(machine, **KINDS[kind]).start()
    assert leftovers(machine) == []


@pytest.mark.parametrize(("kind", "stage"), [(kind, stage) for kind in STAGES for stage in STAGES[kind]])
def test_an_error_of_whoever_is_told_a_stage_leaves_nothing(
    machine: InMemoryHost, kind: str, stage: str
) -> None:
    def tell(_who: str, current: str) -> None:
        if current == stage:
            raise AlarmError

    with pytest.raises(AlarmError):
        memory_lab(machine, **KINDS[kind]).start(tell=tell)
    assert leftovers(machine) == []


@pytest.mark.parametrize("stage", STAGES["cold"])
def test_an_error_while_progress_is_shown_leaves_nothing(
    machine: InMemoryHost, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def show(_progress: LaunchProgress, _who: str, current: str) -> None:
        if current == stage:
            raise AlarmError

    monkeypatch.setattr(LaunchProgress, "show", show)
    with pytest.raises(AlarmError):
        memory_lab(machine).start()
    assert leftovers(machine) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_start_that_failed_can_be_tried_again(machine: InMemoryHost, kind: str) -> None:
    machine.script("node02", *[NodeLife(dies="killed")] * boot.ATTEMPTS, NodeLife())
    lab = memory_lab(machine, **KINDS[kind])
    with pytest.raises(BootError):
        lab.start()
    assert not lab.is_running
    with lab:
        assert lab.run("uname -n")["node02"].stdout == "node02\n"
    assert leftovers(machine) == []


def test_a_node_whose_qemu_dies_is_named_with_its_consoles_and_its_qemus_last_words(
    machine: InMemoryHost,
) -> None:
    machine.script("node02", NodeLife(console=CONSOLE, dies="qemu-system-x86_64: no room for FAM"))
    with pytest.raises(BootError) as raised:
        memory_lab(machine).start()
    message = str(raised.value)
    assert message.startswith("node02 ended while it booted; its console's last lines are ")
    assert all(f"line {number}" in message for number in range(3, 8))
    assert "line 2" not in message
    assert "QEMU says 'qemu-system-x86_64: no room for FAM'" in message
    assert "it was Linux 6.1.0-in-memory, image 'appliance', in " in message
    assert machine.calls.order("create").count("create node02") == boot.ATTEMPTS
    assert leftovers(machine) == []


def test_a_node_that_never_boots_is_named_with_its_console(
    machine: InMemoryHost, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_a_second_a_look(machine, monkeypatch)
    machine.script("node01", NodeLife(boots_after=None, console=CONSOLE))
    with pytest.raises(BootError, match=r"node01 was not up within 6 s; its console's last lines .*line 7"):
        memory_lab(machine, nodes=1).start(deadline=6)
    assert "trying once more" in caplog.text
    assert leftovers(machine) == []


def test_a_boot_that_hangs_without_a_word_names_kernel_and_qemu_and_what_to_change(
    machine: InMemoryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_a_second_a_look(machine, monkeypatch)
    machine.script("node01", NodeLife(boots_after=None))
    monkeypatch.setattr(boot, "_processor_seconds", lambda _domain: 50.0)
    with pytest.raises(BootError, match="its console is empty; it was Linux") as raised:
        memory_lab(machine, nodes=1).start(deadline=3)
    assert "qemu='backports'" in str(raised.value)
    monkeypatch.setattr(boot, "_processor_seconds", lambda _domain: 0.5)
    monkeypatch.setattr("os.getloadavg", lambda: (99.0, 99.0, 99.0))
    with pytest.raises(BootError, match=r"had 0\.5 s of processor time, for this host is busy .load 99."):
        memory_lab(machine, nodes=1).start(deadline=3)
    assert leftovers(machine) == []


def test_a_node_that_boots_and_never_answers_is_named(
    machine: InMemoryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_a_second_a_look(machine, monkeypatch)
    machine.script("node01", NodeLife(answers=False, console=CONSOLE))
    with pytest.raises(BootError, match=r"node01 answered no SSH within 2 s .*does not answer SSH.*line 7"):
        memory_lab(machine, nodes=1).start(deadline=2)
    assert leftovers(machine) == []


def test_a_node_that_does_not_share_fam_is_named_and_not_tried_again(machine: InMemoryHost) -> None:
    machine.script("node02", NodeLife(shares=False))
    with pytest.raises(SharingError, match=r"node02 does not share /.*fam: the host wrote 0x[0-9a-f]{16}"):
        memory_lab(machine).start()
    assert machine.calls.order("create").count("create node02") == 1
    assert leftovers(machine) == []


def test_a_node_that_dies_while_it_is_proved_is_named_with_what_its_qemu_said(machine: InMemoryHost) -> None:
    machine.calls.before("run", lambda: machine.kill("twin", "qemu: gone"), "node01")
    with pytest.raises(FameError, match=r"node01.*its QEMU has ended .*qemu: gone"):
        memory_lab(machine, nodes=1).start()
    assert leftovers(machine) == []


def test_a_domain_that_cannot_be_defined_ends_the_others(machine: InMemoryHost) -> None:
    machine.script("node01", NodeLife(boots_after=None))
    machine.calls.before("create", raising(HostError("node02 cannot be started: no such machine")), "node02")
    with pytest.raises(HostError, match=r"^node02 cannot be started: no such machine$"):
        memory_lab(machine, nodes=3).start(deadline=60)
    assert "open node01" not in machine.calls.order()
    assert leftovers(machine) == []


def test_a_failure_ends_nodes_that_wait_for_their_turn_to_boot(
    machine: InMemoryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0})
    boots, creation = threading.Event(), threading.Event()
    machine.calls.before("create", lambda: boots.wait(60), "node02")
    machine.calls.after("create", creation.set, "node02")

    def fail() -> None:
        boots.set()
        assert creation.wait(60)
        raise HostError("refused")

    machine.calls.before("resume", fail, "node01")
    for node in ("node02", "node03"):
        machine.script(node, NodeLife(boots_after=None))
    with pytest.raises(HostError, match="refused"):
        memory_lab(machine, nodes=4).start(deadline=600)
    assert "create node04" not in machine.calls.order("create")
    assert machine.calls.order("open") == []
    assert leftovers(machine) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_daemon_that_stays_away_is_given_up_and_nothing_is_left(machine: InMemoryHost, when: str) -> None:
    getattr(machine.calls, when)("create", raising(DaemonError("libvirtd went away")), "node02")
    with pytest.raises(DaemonError, match="libvirtd went away"):
        memory_lab(machine).start()
    assert machine.calls.order("create").count("create node02") == boot.ATTEMPTS
    assert leftovers(machine) == []


def test_a_node_that_cannot_be_ended_at_first_is_ended_with_the_lab(machine: InMemoryHost) -> None:
    errors = iter([HostError("libvirt cannot end it")])

    def fail_once() -> None:
        for error in errors:
            raise error

    machine.script("node01", NodeLife(shares=False))
    machine.calls.before("destroy", fail_once, "node01")
    with pytest.raises(HostError, match="libvirt cannot end it") as raised:
        memory_lab(machine, nodes=1).start()
    assert isinstance(raised.value.__context__, SharingError)
    assert machine.calls.order("destroy") == ["destroy node01"] * 2
    assert leftovers(machine) == []


def test_a_network_that_is_there_already_is_refused_and_nothing_of_the_lab_is_left(
    machine: InMemoryHost,
) -> None:
    machine.calls.before("make network", raising(LabError("fame-twin exists already")))
    with pytest.raises(LabError, match="exists already"):
        memory_lab(machine, network="libvirt").start()
    assert machine.calls.order("create") == []
    assert leftovers(machine) == []


def test_a_failure_closes_the_ways_into_nodes_that_were_up(machine: InMemoryHost) -> None:
    up = threading.Event()
    machine.calls.after("run", up.set, "node01")

    def fail() -> None:
        assert up.wait(60)
        raise SSHError("node02 went away")

    machine.calls.before("open", fail, "node02")
    with pytest.raises(BootError, match="node02 answered no SSH"):
        memory_lab(machine).start()
    assert leftovers(machine) == []
