"""The words ``report`` and ``rerun``: a notebook as a folder that can be repeated, and one repeated."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from fame_lab.cli.arguments import as_path, named

__all__ = ["add_arguments", "report", "rerun"]


def add_arguments(words: Any) -> None:
    """Add them to the parser's, with what they take."""
    report = words.add_parser("report", help="execute a notebook and keep what it shows and measures")
    report.add_argument("notebook", type=as_path, metavar="NOTEBOOK")
    report.add_argument(
        "-p", dest="parameter", action="append", default=[], type=_parameter, metavar="NAME=VALUE",
        help="for its cell tagged `parameters`; may be given again: -p nodes=4 -p 'sizes=[1, 2]'",
    )  # fmt: skip
    report.add_argument(
        "--output", type=as_path, required=True, metavar="DIR", help="an earlier report there is replaced"
    )
    report.set_defaults(command="report")

    rerun = words.add_parser(
        "rerun",
        help="make a report again from its folder, and say what agrees",
        description="The notebook in FOLDER is a program and runs as you: read it first if it is another's. "
        "Status 0 says that all agrees that has to: what was measured at all, and what was counted. Times "
        "are each host's own; what differs of them is said.",
    )
    rerun.add_argument("folder", type=as_path, metavar="FOLDER")
    rerun.add_argument("--output", type=as_path, metavar="DIR", help="by default FOLDER-rerun")
    rerun.add_argument("--json", action="store_true", help="what agrees and what differs")
    rerun.set_defaults(command="rerun")


def report(arguments: argparse.Namespace) -> int:
    """Make a report and print where its page is."""
    from fame_lab.experiments.report.report import report

    parameters = dict(arguments.parameter)
    print(report(arguments.notebook, arguments.output, parameters=parameters, progress=_lines()))
    return 0


def rerun(arguments: argparse.Namespace) -> int:
    """Make it again, and print what agrees and what differs; 1 if anything differs that must not."""
    from fame_lab.experiments.report.rerun import default_output, exact_results_agree, rerun

    comparison = rerun(arguments.folder, arguments.output, progress=_lines())
    output, held = arguments.output or default_output(arguments.folder), exact_results_agree(comparison)
    if arguments.json:
        print(json.dumps({"output": str(output), "holds": held, **comparison.to_dict()}, indent=1))
    else:
        print(comparison)
        verdict = f"What must agree, all but times, {'agrees' if held else 'does NOT agree'}"
        if not comparison.rows and not any(comparison.only.values()):
            verdict = "Neither report has a measurement, so nothing can be said"
        print(f"\n{verdict}; what cells print and draw is not compared: see {output}")
    return 0 if held else 1


def _lines() -> Callable[[str], None] | None:
    """Return what writes a line a cell into a log, so that a later reader knows which one took so long."""

    def tell(stage: str) -> None:
        print(stage, file=sys.stderr, flush=True)

    return None if sys.stderr.isatty() else tell


def _parameter(text: str) -> tuple[str, Any]:
    from fame_lab.experiments.report.parameters import option  # it brings nbformat

    name, value = named(text)
    return name, option(value)
