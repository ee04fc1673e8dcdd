"""What tests/vm/test_twin_vm.py holds a real host to, as it goes in memory."""

from launch_scenarios import SCENARIOS, MemoryMachine, Outcome

from fame_lab.testing import InMemoryHost

LAB = ["choosing the accelerator", "making keys and FAM"]
BOOT = ["creating", "booting"]


def play(machine: InMemoryHost, scenario: str) -> Outcome:
    return SCENARIOS[scenario](MemoryMachine(machine), "twin")


def test_two_nodes_come_up_and_go(machine: InMemoryHost) -> None:
    up = [*BOOT, "connecting", "proving", "ready"]
    stages = {"lab": LAB, "node01": up, "node02": up}
    assert play(machine, "comes-up") == Outcome(stages, "", [], [])


def test_two_nodes_are_restored_from_a_template_and_go(machine: InMemoryHost) -> None:
    up = ["creating", "waking", "connecting", "proving", "ready"]
    stages = {"lab": [*LAB, "making a template"], "node01": up, "node02": up}
    assert play(machine, "comes-up-from-a-template") == Outcome(stages, "", [], [])


def test_a_start_that_is_interrupted_while_a_node_boots_leaves_nothing(machine: InMemoryHost) -> None:
    stages = {"lab": LAB, "node01": BOOT}
    assert play(machine, "is-interrupted-while-it-boots") == Outcome(stages, "KeyboardInterrupt", [], [])


def test_a_node_whose_qemu_is_killed_is_tried_twice_and_leaves_nothing(machine: InMemoryHost) -> None:
    stages = {"lab": LAB, "node01": BOOT * 2}
    assert play(machine, "is-killed-while-it-boots") == Outcome(stages, "BootError", ["node01"], [])
