"""What `fame-lab run` and `ssh` do: commands and shells on the nodes."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
from typing import TYPE_CHECKING

from fame_lab.cli import output
from fame_lab.cli.stdin import StandardInput
from fame_lab.core.jobs.progress import current, job
from fame_lab.core.numeric import check_seconds
from fame_lab.errors import FameError, HostError, SpecError
from fame_lab.guest.ssh import process_tag

if TYPE_CHECKING:
    from fame_lab.guest.ssh.run_result import RunResult
    from fame_lab.lab.lab import Lab
    from fame_lab.lab.node import Node

__all__ = ["command", "outcome", "run", "ssh", "status"]

_LOST = 255  # what OpenSSH's client gives when it is the connection that failed


def ssh(arguments: argparse.Namespace) -> int:
    """Become OpenSSH's client, with a shell or a command on a node."""
    from fame_lab.lab.lab import Lab

    if shutil.which("ssh") is None:
        raise HostError(
            f"OpenSSH's client is not on the PATH: apt-get install openssh-client, "
            f"or `fame-lab run {arguments.name} --node {arguments.node} -- COMMAND`"
        )
    given = [_as_one(arguments, words) for words in command(arguments.words)]
    *words, host = Lab.attach(arguments.name).node(arguments.node).ssh_command
    # After the host, too, the client would take what begins with a dash for its own option.
    os.execvp(words[0], [*words, "--", host, *given])  # noqa: S606 - a list of words, and no shell


def _as_one(arguments: argparse.Namespace, words: str) -> str:
    """Return a command as the node's SSH server takes it."""
    if len(process_tag.encoded(words)) > process_tag.MAX_LINE:
        raise SpecError(
            f"the command has more than the {process_tag.MAX_LINE:,} bytes that every SSH server takes: "
            f"fame-lab run {arguments.name} --node {arguments.node} -- COMMAND runs it"
        )
    # The server's shell would take it for its own option.
    return f" {words}" if words.startswith(("-", "+")) else words


def run(arguments: argparse.Namespace) -> int:
    """Run a command on the nodes that are named, or on all, and give the first status that is not 0."""
    from fame_lab.lab.lab import Lab

    if arguments.timeout is not None:
        check_seconds("--timeout", arguments.timeout)
    came = outcome(Lab.attach(arguments.name), arguments, arguments.timeout)
    if arguments.json:
        print(json.dumps(output.runs_as_dict(came), indent=1))
    else:
        output.show_runs(came)
    return status(came)


def outcome(
    lab: Lab, arguments: argparse.Namespace, timeout: float | None
) -> dict[str, RunResult | FameError]:
    """Run the command; each node is asked, whatever became of another.

    Standard input is passed on to each of them, unless it is a terminal.
    """
    nodes = [lab.node(name) for name in arguments.node] if arguments.node else list(lab.nodes)
    (words,) = command(arguments.words)
    stdin = None if arguments.no_stdin else StandardInput.of_this_process([node.name for node in nodes])

    def outcome_on(node: Node) -> RunResult | FameError:
        pieces = b"" if stdin is None else stdin.pieces(node.name)
        try:
            return node.run(words, check=False, timeout=timeout, stdin=pieces)
        except FameError as error:
            return error
        finally:
            if stdin is not None:
                stdin.end(node.name)
            current().step(f"{node.name} has ended")

    # What `run` writes to stderr is the command's alone.
    shown = arguments.command == "trace"
    try:
        with job("command", total=len(nodes), unit="node", shown=shown):
            return lab.each(nodes, outcome_on)
    except KeyboardInterrupt:
        print(f"fame-lab: {words!r} was ended in the nodes that answer", file=sys.stderr)
        raise


def status(came: dict[str, RunResult | FameError]) -> int:
    """Return the first exit status that is not 0; 255 for a node that did not answer."""
    statuses = [_LOST if isinstance(result, FameError) else result.exit_status for result in came.values()]
    return next((each for each in statuses if each), 0)


def command(words: list[str]) -> list[str]:
    """Return at most one command line: a single word is one already, several are quoted into one."""
    words = words[1:] if words[:1] == ["--"] else words
    return words if len(words) < 2 else [shlex.join(words)]
