"""`fame-lab put` and `get`."""

import pytest

from fame_lab.cli import main


@pytest.mark.parametrize(
    "words",
    [
        ["put", "demo"],
        ["put", "demo", "one"],
        ["put", "demo", "a", "b", "c", "d"],
        ["put", "demo", "--node", "node01", "node02", "b", "c"],
        ["get", "demo", "one"],
        ["get", "demo", "a", "b", "c", "d"],
    ],
)
def test_another_number_of_words_makes_no_sense(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(words) == 2
    assert words[0] in capsys.readouterr().err


@pytest.mark.parametrize(("command", "missing"), [("put", "REMOTE"), ("get", "LOCAL")])
def test_the_path_that_is_missing_is_named(
    command: str, missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main([command, "demo", "program"]) == 2
    told = f"fame-lab: Missing {missing}: {command} takes two paths after the lab's name.\n"
    assert capsys.readouterr().err.endswith(told)
