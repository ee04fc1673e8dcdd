"""`fame-lab restart`."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from fame_lab.cli import main


class Node:
    def __init__(self, name: str) -> None:
        self.name = name

    def restart(self, tell: Callable[[str, str], None]) -> None:
        tell(self.name, "booting")
        if self.name == "node02":
            raise KeyboardInterrupt


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
