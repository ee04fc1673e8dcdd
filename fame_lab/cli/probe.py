"""The command ``probe``: one measurement in a running lab."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from fame_lab.cli.arguments import Command, as_path, option, parameter_option
from fame_lab.errors import SpecError

__all__ = ["probe"]


@click.command(cls=Command, meant="-p NAME=VALUE for a probe's parameter")
@click.argument("name", metavar="NAME")
@click.argument("probe", metavar="PROBE")
@parameter_option("Of the probe, by default its own; may be given again: -p working_sets=4K,64K.")
@option("--output", "DIR", "Save the result there; by default it is printed.", type=as_path)
def probe(name: str, probe: str, parameters: tuple[tuple[str, Any], ...], output: Path | None) -> int:
    """Measure in a running lab.

    PROBE is such as chase; a wrong name lists all.
    """
    from fame_lab.lab.lab import Lab

    if output is not None and output.exists():
        raise SpecError(f"--output {str(output)!r} is there", hint="give a directory that is not there yet")
    result = Lab.attach(name).probe(probe, **dict(parameters))
    print(result.dataset if output is None else result.save(output))
    if result.failed:
        print(f"fame-lab: {probe} failed: {result.failed}", file=sys.stderr)
    return 1 if result.failed else 0
