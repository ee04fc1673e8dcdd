"""The command ``run``: a command on the nodes, which ``trace`` runs too."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import click

from fame_lab.cli import output
from fame_lab.cli.arguments import NEGATIVE_NUMBER, Command, json_option, option
from fame_lab.cli.stdin import StandardInput
from fame_lab.core.jobs.progress import current, job
from fame_lab.core.numeric import check_seconds
from fame_lab.errors import FameError

if TYPE_CHECKING:
    from fame_lab.guest.ssh.run_result import RunResult
    from fame_lab.lab.lab import Lab
    from fame_lab.lab.node import Node

__all__ = ["command", "no_stdin_option", "node_option", "outcome", "run", "status"]

_LOST = 255  # what OpenSSH's client gives when it is the connection that failed
#: No word of a process can have it.
_MARK = "\0"

node_option = option("--node", "NODE", "On this node; may be given again; by default all.", multiple=True)
no_stdin_option = click.option(
    "-n", "--no-stdin", is_flag=True, help="Do not pass on standard input; by default it is, to every node."
)


class _Run(Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words; `head -5` needs no ``--``, though click would take the number for an option."""
        end = args.index("--") if "--" in args else len(args)
        marked = [
            _MARK + word if NEGATIVE_NUMBER.fullmatch(word) and before not in self.valued else word
            for before, word in pairwise(["", *args[:end]])
        ]
        return super().parse_args(ctx, marked + args[end:])


@click.command(
    cls=_Run,
    meant="fame-lab run {name} -- COMMAND",
    epilog="One word is a line for the shell, several are quoted into one: -- 'ls | wc -l'.",
)
@click.argument("name", metavar="NAME")
@node_option
@option("--timeout", "SECONDS", "For the command; by default there is none.", type=float)
@no_stdin_option
@json_option
@click.argument("words", nargs=-1, required=True, metavar="[--] COMMAND...")
@click.pass_context
def run(
    context: click.Context,
    name: str,
    node: tuple[str, ...],
    timeout: float | None,
    no_stdin: bool,
    as_json: bool,
    words: tuple[str, ...],
) -> int:
    """Run a command on every node, in parallel.

    The status is the first of the nodes' that is not 0; 255 for a node that did not answer.
    """
    line = command([word.removeprefix(_MARK) for word in words])
    if not line:
        context.fail("Missing COMMAND.")
    if timeout is not None:
        check_seconds("--timeout", timeout)
    from fame_lab.lab.lab import Lab

    # What it writes to stderr is the command's alone, so no progress is shown.
    result = outcome(Lab.attach(name), line[0], node, stdin=not no_stdin, timeout=timeout, shown=False)
    if as_json:
        print(json.dumps(output.runs_as_dict(result), indent=1))
    else:
        output.show_runs(result)
    return status(result)


def outcome(
    lab: Lab,
    line: str,
    names: Sequence[str],
    *,
    stdin: bool,
    timeout: float | None = None,
    shown: bool = True,
) -> dict[str, RunResult | FameError]:
    """Run a command line on the nodes that are named, or on all; each is asked, whatever became of another.

    With `stdin` each has this process's standard input, unless that is a terminal; `timeout` is in seconds.
    """
    nodes = [lab.node(name) for name in dict.fromkeys(names)] or list(lab.nodes)
    stdin_source = StandardInput.of_this_process([node.name for node in nodes]) if stdin else None

    def outcome_on(node: Node) -> RunResult | FameError:
        pieces = b"" if stdin_source is None else stdin_source.pieces(node.name)
        try:
            return node.run(line, check=False, timeout=timeout, stdin=pieces)
        except FameError as error:
            return error
        finally:
            if stdin_source is not None:
                stdin_source.end(node.name)
            current().step(f"{node.name} has ended")

    try:
        with job("command", total=len(nodes), unit="node", shown=shown):
            return lab.each(nodes, outcome_on)
    except KeyboardInterrupt:
        print(f"fame-lab: {line!r} was ended in the nodes that answer", file=sys.stderr)
        raise


def status(results: dict[str, RunResult | FameError]) -> int:
    """Return the first exit status that is not 0; 255 for a node that did not answer."""
    statuses = (_LOST if isinstance(each, FameError) else each.exit_status for each in results.values())
    return next((each for each in statuses if each), 0)


def command(words: Sequence[str]) -> list[str]:
    """Return at most one command line: a single word is one already, several are quoted into one."""
    words = list(words[1:] if words and words[0] == "--" else words)
    return words if len(words) < 2 else [shlex.join(words)]
