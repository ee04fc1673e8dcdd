"""The command ``report``: execute a notebook, and keep a folder that can be repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fame_lab.cli.arguments import Command, as_path, named, option, parameter_option
from fame_lab.cli.output import log_lines

__all__ = ["report"]


def _parameter(text: str) -> tuple[str, Any]:
    from fame_lab.experiments.report.parameters import option  # it brings nbformat

    name, value = named(text)
    return name, option(value)


@click.command(cls=Command)
@click.argument("notebook", type=as_path, metavar="NOTEBOOK")
@parameter_option("For its cell `parameters`, by default as it is: -p nodes=4 -p 'sizes=[1, 2]'.", _parameter)
@option("--output", "DIR", "An earlier report there is replaced.", type=as_path, required=True)
def report(notebook: Path, parameters: tuple[tuple[str, Any], ...], output: Path) -> int:
    """Execute a notebook and keep what it shows and measures."""
    from fame_lab.experiments.report.report import report

    print(report(notebook, output, parameters=dict(parameters), progress=log_lines()))
    return 0
