"""Commands on several nodes: what each is given, and what is refused before any runs."""

from typing import Any

import pytest

from fame_lab import LabSpec
from fame_lab.errors import CommandError, LabError, SpecError
from fame_lab.guest.ssh.run_result import RunResult, RunResults
from fame_lab.lab.commands import Commands


class Ran:
    """A node that does as if it ran what it is given."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.commands: list[tuple[str, float | None]] = []

    def run(self, command: str, *, check: bool, timeout: float | None) -> RunResult:
        self.commands.append((command, timeout))
        result = RunResult(command, "", int(command == "false"), 0.0, command, self.name)
        return result.check() if check else result


class Two(Commands):
    """A lab of two such nodes."""

    spec = LabSpec("two")

    def __init__(self) -> None:
        self._nodes: Any = (Ran("node01"), Ran("node02"))

    @property
    def nodes(self) -> Any:
        return self._nodes


def test_each_node_runs_its_own_command_and_results_come_in_the_nodes_order() -> None:
    lab = Two()
    results = lab.run_each({"node02": "consumer", "node01": "producer"}, timeout=5)
    assert isinstance(results, RunResults)
    assert {name: result.stdout for name, result in results.items()} == {
        "node01": "producer",
        "node02": "consumer",
    }
    assert list(results) == ["node01", "node02"]
    assert [node.commands for node in lab.nodes] == [[("producer", 5)], [("consumer", 5)]]


def test_a_node_that_is_not_named_runs_nothing() -> None:
    lab = Two()
    assert list(lab.run_each({"node02": "true"})) == ["node02"]
    assert lab.nodes[0].commands == []


def test_a_status_other_than_0_raises_unless_told_otherwise() -> None:
    with pytest.raises(CommandError, match="node02"):
        Two().run_each({"node01": "true", "node02": "false"})
    results = Two().run_each({"node01": "true", "node02": "false"}, check=False)
    assert results["node02"].exit_status == 1


@pytest.mark.parametrize(
    ("commands", "kind", "words"),
    [
        ({}, SpecError, "no node is named"),
        ("uname", SpecError, "the commands are 'uname': give a dict"),
        (["uname"], SpecError, "give a dict"),
        (None, SpecError, "the commands are None"),
        ({"node01": "true", "node03": "true"}, LabError, "no node 'node03'; it has node01, node02"),
        ({1: "true"}, SpecError, "1 is no node's name"),
        ({"node01": "true", "node02": ["a", "b"]}, SpecError, "node02: the command is"),
        ({"node01": None}, SpecError, "node01: the command is None"),
        ({"node01": "a\0b"}, SpecError, "node01: .* null character"),
    ],
)
def test_what_cannot_run_on_each_is_refused_before_any_runs(
    commands: Any, kind: type[Exception], words: str
) -> None:
    lab = Two()
    with pytest.raises(kind, match=words):
        lab.run_each(commands)
    assert [node.commands for node in lab.nodes] == [[], []]
