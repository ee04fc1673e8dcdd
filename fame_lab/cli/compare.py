"""The command ``compare``: compare two results, recordings, sweeps or reports."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fame_lab.cli.arguments import Command, as_path, check_picture, json_option, plot_option

__all__ = ["compare"]


@click.command(cls=Command)
@click.argument("a", type=as_path, metavar="A")
@click.argument("b", type=as_path, metavar="B")
@json_option
@plot_option
def compare(a: Path, b: Path, as_json: bool, plot: Path | None) -> int:
    """Compare two results, recordings, sweeps or reports.

    It prints what differs in how A and B were made, then in what they say. Both are directories of one kind:
    a result (of `probe --output`), traffic (of `trace --output`), a sweep, a report, or a report made again
    by `rerun`; or one of the measurements in a report, such as report/data/001-chase.
    """
    from fame_lab.experiments.compare.comparison import compare as compared

    check_picture(plot)
    comparison = compared(a, b)
    print(json.dumps(comparison.to_dict(), indent=1) if as_json else comparison)
    if plot is not None:
        comparison.plot().savefig(plot)
    return 0
