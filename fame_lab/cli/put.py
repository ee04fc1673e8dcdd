"""The command ``put``: copy a file into nodes."""

from __future__ import annotations

import sys
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import click

from fame_lab.cli.arguments import Command, option, split_paths
from fame_lab.core.jobs.progress import current, job
from fame_lab.core.sanitize import plain
from fame_lab.errors import FameError

if TYPE_CHECKING:
    from fame_lab.lab.node import Node

__all__ = ["put"]


@click.command(cls=Command, epilog="A path that begins with a dash comes after --.")
@click.argument("name", metavar="NAME")
@click.argument("paths", nargs=-1, required=True, metavar="[NODE] LOCAL REMOTE")
@option("--node", "NODE", "Into this node; may be given again; by default all.", multiple=True)
def put(name: str, paths: tuple[str, ...], node: tuple[str, ...]) -> int:
    """Copy a file into nodes.

    Into all nodes, unless one is named. In a directory the file has its own name.
    """
    names, local, remote = split_paths(node, paths)
    from fame_lab.lab.lab import Lab

    lab = Lab.attach(name)
    targets = [lab.node(each) for each in names] or list(lab.nodes)

    def outcome_on(node: Node) -> PurePosixPath | FameError:
        try:
            return node.put(local, remote)
        except FameError as error:
            return error
        finally:
            current().step(f"{node.name} is done")

    with job("put", total=len(targets), unit="node"):
        outcome = lab.each(targets, outcome_on)
    for name, where in outcome.items():
        if not isinstance(where, FameError):
            print(f"{name}: {plain(str(where), keep='')}")
    failures = [each for each in outcome.values() if isinstance(each, FameError)]
    # What is wrong on this host is wrong for each node, and said once.
    for words in dict.fromkeys(map(str, failures)):
        print(f"fame-lab: {plain(words)}", file=sys.stderr)
    return 1 if failures else 0
