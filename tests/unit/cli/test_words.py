"""How words become a command's options, and what is left for the nodes."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from repository import ROOT

from fame_lab.cli.main import COMMANDS, group, main


def read(*words: str) -> dict[str, Any]:
    """Return what a command's function is called with."""
    command: click.Command = group
    for at, word in enumerate(words):
        if not isinstance(command, click.Group):
            return command.make_context(command.name, [*words[at:]]).params
        name, subcommand, _ = command.resolve_command(click.Context(command), [word])
        assert subcommand is not None, name
        command = subcommand
    return command.make_context(command.name, []).params


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("run demo -- ls -l", "ls -l"),
        ("run demo -- run demo -- --node x", "run demo -- --node x"),
        ("run demo ls", "ls"),
        ("run -n --node node01 demo ls a --json", "ls a"),
        ("run demo --timeout=5 head -5 file", "head -5 file"),
        ("run -- demo ls --json", "ls --json"),
        ("ssh demo node01", ""),
        ("ssh demo node01 ls -l --help", "ls -l --help"),
        ("ssh demo node01 -- ls -l", "-- ls -l"),
        ("ssh demo -- node01 ls -l", "ls -l"),
        ("ssh -- demo node01 ls -- -l", "ls -- -l"),
        ("trace demo", ""),
        ("trace demo --node node01 -- ls --output x -- y", "ls --output x -- y"),
    ],
)
def test_what_is_for_the_nodes_is_left_as_it_is(words: str, command: str) -> None:
    params = read(*words.split())
    assert params["name"] == "demo"
    assert [word.removeprefix("\0") for word in params["words"]] == command.split()


@pytest.mark.parametrize(
    "words",
    [
        ("run", "demo", "--", "--"),
        ("trace", "demo", "ls"),
        ("trace", "--", "demo"),
        ("ssh", "demo", "--verbose", "node01"),
        ("run", "demo", "ls", "-l5"),
        ("probe", "demo", "chase", "--output", "--json"),
        ("sweep", "chase", "--output", "x", "--over", "-p"),
        ("run", "--node", "--", "demo", "ls"),
        ("up", "demo", "--trace=yes"),
        ("up", "demo", "--node", "2"),
        ("qemu", "get", "other"),
        ("image", "rm"),
        ("image", "rm", "debian", "--old"),
        ("image",),
        ("qemu", "fly"),
    ],
)
def test_words_that_could_mean_two_things_make_no_sense(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words]) == 2
    assert "Usage: fame-lab" in capsys.readouterr().err


def test_a_value_that_begins_with_a_dash_comes_after_a_sign_or_is_a_number() -> None:
    params = read(
        *[
            "sweep",
            "chase",
            "--output=-x",
            "--seed",
            "-5",
            "--repeats=-1",
            "-p=batches=30",
            "--over",
            "nodes=-2",
        ]
    )
    assert (params["output"], params["seed"], params["repeats"]) == (Path("-x"), -5, -1)
    assert params["parameters"] == (("batches", 30),)
    assert params["over"] == (("nodes", -2),)


def test_every_command_line_that_the_documents_show_is_one() -> None:
    texts = [path.read_text() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))]
    lines = [line for text in texts for line in re.findall(r"^fame-lab (.*)$", text, re.MULTILINE)]
    assert lines
    for line in lines:
        read(*shlex.split(line.partition("<")[0], comments=True))


def test_help_of_any_command_imports_nothing_heavy() -> None:
    program = (
        "import sys; from fame_lab.cli.main import COMMANDS, main; main(['--help']);"
        "[main([name, '--help']) for name in COMMANDS];"
        "heavy = {'numpy', 'xarray', 'libvirt', 'paramiko', 'nbformat', 'fame_lab.lab', 'fame_lab.probes'};"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, check=False).returncode
        == 0
    )


WORDS = st.text() | st.sampled_from(
    ["--", "-n", "-p", "--node", "--json", "--output", "--output=", "-5", "a=b"]
)


@given(st.sampled_from(COMMANDS), st.lists(WORDS, max_size=6))
def test_whatever_is_typed_is_read_or_refused(name: str, words: list[str]) -> None:
    try:
        read(name, *words)
    except (click.UsageError, click.exceptions.Exit):
        return
