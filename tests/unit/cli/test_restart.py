"""`fame-lab restart`."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from fame_lab.cli import main
from fame_lab.errors import LabError


class Node:
    def __init__(self, name: str) -> None:
        self.name = name

    def restart(self, tell: Callable[[str, str], None]) -> None:
        tell(self.name, "booting")
        if self.name == "node02":
            raise KeyboardInterrupt
        if self.name == "node04":
            raise LabError("node04 did not come up")


@pytest.fixture(autouse=True)
def lab(monkeypatch: pytest.MonkeyPatch) -> None:
    def attach(_: str) -> Any:
        return SimpleNamespace(node=Node)

    monkeypatch.setattr("fame_lab.lab.lab.Lab.attach", attach)


def test_what_has_booted_anew_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["restart", "demo", "node01", "node03"]) == 0
    assert capsys.readouterr().out == "node01 has booted anew\nnode03 has booted anew\n"


def test_an_interrupt_ends_with_status_130_and_says_which_nodes_were_restarted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["restart", "demo", "node01", "node02", "node03"]) == 130
    streams = capsys.readouterr()
    assert streams.out == "node01 has booted anew\n"
    assert "not restarted: node02 node03; to go on: fame-lab restart demo node02 node03" in streams.err


def test_a_node_that_is_named_twice_boots_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["restart", "demo", "node01", "node01"]) == 0
    assert capsys.readouterr().out == "node01 has booted anew\n"


def test_a_node_that_does_not_come_up_leaves_the_rest_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["restart", "demo", "node04", "node05"]) == 1
    said = capsys.readouterr().err
    assert "not restarted: node04 node05; to go on: fame-lab restart demo node04 node05" in said
    assert "fame-lab: node04 did not come up" in said
