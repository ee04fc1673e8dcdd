"""`fame-lab down`."""

import io
import sys

import pytest

from fame_lab.cli import main


class Keyboard(io.StringIO):
    def isatty(self) -> bool:
        return True


class Entry:
    def __init__(self, name: str, ended: list[str]) -> None:
        self.name, self._ended = name, ended

    def end(self) -> None:
        self._ended.append(self.name)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put two labs here, `x` and `y`; return the names of those that were ended."""
    names: list[str] = []
    monkeypatch.setattr("fame_lab.lab.lab.Lab.list", lambda: [Entry(name, names) for name in "xy"])
    return names


@pytest.mark.parametrize(
    ("answer", "status", "gone"), [("y\n", 0, ["x", "y"]), ("n\n", 1, []), ("\n", 1, []), ("", 130, [])]
)
def test_on_a_terminal_all_labs_are_listed_and_ended_only_if_the_user_agrees(
    answer: str,
    status: int,
    gone: list[str],
    ended: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", Keyboard(answer))
    assert main.main(["down", "--all"]) == status
    assert ended == gone
    assert "End x, y? [y/N]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        (["--all", "--yes"], Keyboard("n\n")),
        (["x", "y"], Keyboard("n\n")),
        (["--all"], io.StringIO("n\n")),
        (["--all"], None),
    ],
)
def test_nothing_is_asked_of_one_who_has_said_yes_or_named_them_or_of_a_script(
    words: list[str], stdin: io.StringIO | None, ended: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main.main(["down", *words]) == 0
    assert ended == ["x", "y"]


def test_a_name_of_no_lab_ends_none_and_says_so(ended: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["down", "y", "z", "z"]) == 1
    assert ended == []
    told = "nothing was ended, for there is no lab named 'z'; here are: x, y"
    assert capsys.readouterr().err == f"fame-lab: {told}\n"


def test_a_lab_that_is_named_twice_is_ended_once(
    ended: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["down", "x", "x"]) == 0
    assert ended == ["x"]
    assert capsys.readouterr().out == "x is gone\n"
