"""The command ``ls``: the labs of this host."""

from __future__ import annotations

import json

import click

from fame_lab.cli import output
from fame_lab.cli.arguments import Command, json_option

__all__ = ["ls"]


@click.command(cls=Command)
@json_option
def ls(as_json: bool) -> int:
    """List what runs on this host."""
    from fame_lab.lab.lab import Lab

    labs = Lab.list()
    if as_json:
        print(json.dumps([output.lab_as_dict(entry) for entry in labs], indent=1))
    else:
        output.show_table([("NAME", "NODES", "FAM", "STATE"), *(output.lab_row(entry) for entry in labs)])
    return 0
