"""The command ``ssh``: a shell or a command on one node."""

from __future__ import annotations

import os
import shutil

import click

from fame_lab.cli.arguments import Command
from fame_lab.cli.run import command
from fame_lab.errors import HostError, SpecError
from fame_lab.guest.ssh import process_tag

__all__ = ["ssh"]


class _Ssh(Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read no option after the node: what comes there is the command's."""
        ends = [at for at, word in enumerate(args, 1) if not word.startswith("-")]
        if len(ends) > 1 and "--" not in args[: ends[1]]:
            args = [*args[: ends[1]], "--", *args[ends[1] :]]
        return super().parse_args(ctx, args)


@click.command(cls=_Ssh)
@click.argument("name", metavar="NAME")
@click.argument("node", metavar="NODE")
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
def ssh(name: str, node: str, words: tuple[str, ...]) -> int:
    """Open a shell on a node, or run a command there.

    It becomes OpenSSH's client, whose status is the command's.
    """
    from fame_lab.lab.lab import Lab

    instead = f"fame-lab run {name} --node {node} -- COMMAND"
    if shutil.which("ssh") is None:
        raise HostError(
            f"OpenSSH's client is not on the PATH: apt-get install openssh-client, or `{instead}`"
        )
    lines = command(words)
    if lines and len(process_tag.encoded(lines[0])) > process_tag.MAX_LINE:
        raise SpecError(
            f"the command has more than the {process_tag.MAX_LINE:,} bytes that every SSH server takes: "
            f"{instead} runs it"
        )
    client, *options, host = Lab.attach(name).node(node).ssh_command
    # The server's shell would take it for its own option, as the client would after the host, too.
    remote = [f" {line}" if line.startswith(("-", "+")) else line for line in lines]
    os.execvp(client, [client, *options, "--", host, *remote])  # noqa: S606 - a list of words, and no shell
