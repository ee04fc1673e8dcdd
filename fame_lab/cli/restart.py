"""The command ``restart``: boot nodes anew."""

from __future__ import annotations

import sys

import click

from fame_lab.cli.arguments import Command
from fame_lab.core.jobs.progress import job
from fame_lab.errors import FameError

__all__ = ["restart"]


@click.command(cls=Command)
@click.argument("name", metavar="NAME")
@click.argument("nodes", nargs=-1, required=True, metavar="NODE...")
def restart(name: str, nodes: tuple[str, ...]) -> int:
    """Boot nodes anew, into the same FAM, one after another."""
    from fame_lab.lab.lab import Lab

    lab = Lab.attach(name)
    queue = [lab.node(node) for node in dict.fromkeys(nodes)]
    restarted: list[str] = []
    try:
        with job("restart", total=len(queue), unit="node") as progress:
            while queue:
                queue[0].restart(tell=lambda node, stage: progress.describe(f"{node} {stage}"))
                restarted.append(queue.pop(0).name)
                progress.step()
    except (KeyboardInterrupt, FameError):
        rest = " ".join(node.name for node in queue)
        if rest:
            print(
                f"fame-lab: not restarted: {rest}; to go on: fame-lab restart {name} {rest}", file=sys.stderr
            )
        raise
    finally:
        for node in restarted:
            print(f"{node} has booted anew")
    return 0
