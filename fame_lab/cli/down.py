"""The command ``down``: end labs."""

from __future__ import annotations

import click

from fame_lab.cli.arguments import Command
from fame_lab.errors import LabError

__all__ = ["down"]


@click.command(cls=Command)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="Every lab of yours on this host.")
@click.option(
    "--orphans",
    is_flag=True,
    help="What was killed and left something behind: labs of which nothing runs, and labs of which the "
    "owner, the process that started them, was killed and nobody has taken them up. What `fame-lab up`, or a "
    "program that ended by itself, left running stays.",
)
@click.pass_context
def down(context: click.Context, names: tuple[str, ...], every: bool, orphans: bool) -> int:
    """End labs and take away what they left."""
    if bool(names) + every + orphans != 1:
        context.fail("down takes names, --all or --orphans, one of the three")
    from fame_lab.lab.lab import Lab

    labs = {entry.name: entry for entry in Lab.list()}
    if orphans:
        for name, entry in labs.items():
            if entry.end_if_orphan():
                print(f"{name} is gone")
        return 0
    if unknown := [name for name in names if name not in labs]:
        all_names = ", ".join(labs) or "none"
        raise LabError(f"there is no lab named {', '.join(map(repr, unknown))}; here are: {all_names}")
    for name in labs if every else names:
        labs[name].end()
        print(f"{name} is gone")
    return 0
