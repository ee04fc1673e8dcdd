"""The command ``rerun``: repeat a report."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fame_lab.cli.arguments import Command, as_path, json_option, option
from fame_lab.cli.output import log_lines

__all__ = ["rerun"]


@click.command(cls=Command)
@click.argument("folder", type=as_path, metavar="FOLDER")
@option("--output", "DIR", "Of the new report; by default FOLDER-rerun.", type=as_path)
@json_option
def rerun(folder: Path, output: Path | None, as_json: bool) -> int:
    """Make a report again from its folder, and compare.

    The notebook in FOLDER is a program and runs as you: read it first if it is another's. Status 0 says that
    all agrees that has to: what was measured at all, and what was counted. Times are each host's own; what
    differs of them is said.
    """
    from fame_lab.experiments.report.rerun import default_output, exact_results_agree, rerun

    comparison = rerun(folder, output, progress=log_lines())
    where, agrees = output or default_output(folder), exact_results_agree(comparison)
    if as_json:
        print(json.dumps({"output": str(where), "holds": agrees, **comparison.to_dict()}, indent=1))
    else:
        print(comparison)
        verdict = f"What must agree, all but times, {'agrees' if agrees else 'does NOT agree'}"
        if not comparison.rows and not any(comparison.only.values()):
            verdict = "Neither report has a measurement, so nothing can be said"
        print(f"\n{verdict}; what cells print and draw is not compared: see {where}")
    return 0 if agrees else 1
