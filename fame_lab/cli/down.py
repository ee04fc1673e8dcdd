"""The command ``down``: end labs."""

from __future__ import annotations

import sys

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
@click.option("--yes", is_flag=True, help="Ask nothing; by default --all asks first, on a terminal.")
@click.pass_context
def down(context: click.Context, names: tuple[str, ...], every: bool, orphans: bool, yes: bool) -> int:
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
        which = ", ".join(map(repr, dict.fromkeys(unknown)))
        raise LabError(f"nothing was ended, for there is no lab named {which}; here are: {all_names}")
    asks = every and labs and not yes and sys.stdin is not None and sys.stdin.isatty()
    if asks and not click.confirm(f"End {', '.join(labs)}?", err=True):
        raise LabError("nothing was ended")
    for name in labs if every else dict.fromkeys(names):
        labs[name].end()
        print(f"{name} is gone")
    return 0
