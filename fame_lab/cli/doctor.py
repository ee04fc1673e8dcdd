"""The command ``doctor``: what this host can do."""

from __future__ import annotations

import json

import click

from fame_lab.cli.arguments import Command, json_option

__all__ = ["doctor"]


@click.command(cls=Command)
@json_option
def doctor(as_json: bool) -> int:
    """Show what this host can do, and how to mend what it can't.

    Status 1 means that no lab can run.
    """
    from fame_lab.host.doctor.doctor import doctor

    diagnosis = doctor()
    print(json.dumps(diagnosis.to_dict(), indent=1) if as_json else diagnosis)
    return 0 if diagnosis.can_run else 1
