"""The command ``get``: copy a file out of a node."""

from __future__ import annotations

import click

from fame_lab.cli.arguments import Command, option, split_paths
from fame_lab.core.jobs.progress import job
from fame_lab.core.sanitize import plain
from fame_lab.errors import LabError

__all__ = ["get"]


@click.command(cls=Command, epilog="A path that begins with a dash comes after --.")
@click.argument("name", metavar="NAME")
@click.argument("paths", nargs=-1, required=True, metavar="[NODE] REMOTE LOCAL")
@option("--node", "NODE", "Out of this one; by default the only one.", multiple=True)
@option("--most", "SIZE", "Bytes that the file may have; by default 64M.", default="64M")
def get(name: str, paths: tuple[str, ...], node: tuple[str, ...], most: str) -> int:
    """Copy a file out of a node.

    Where a lab has one node, it need not be named.
    """
    names, remote, local = split_paths(node, paths)
    from fame_lab.lab.lab import Lab

    lab = Lab.attach(name)
    names = names or [each.name for each in lab.nodes]
    if len(names) > 1:
        raise LabError("get takes one node", hint=f"name one of {', '.join(names)}")
    with job("get", unit="file"):
        where = lab.node(names[0]).get(remote, local, most=most)
    print(plain(str(where), keep=""))
    return 0
