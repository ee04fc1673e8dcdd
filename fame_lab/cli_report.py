"""The word ``report``: a notebook as a folder that can be repeated."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["add_words", "report"]


def add_words(words: Any) -> None:
    """Add it to the parser's, with what it takes."""
    report = words.add_parser("report", help="execute a notebook and keep what it shows and measures")
    report.add_argument("notebook", type=Path, metavar="NOTEBOOK")
    report.add_argument(
        "-p", dest="parameter", action="append", default=[], type=_parameter, metavar="NAME=VALUE",
        help="for its cell tagged `parameters`; may be given again: -p nodes=4 -p 'sizes=[1, 2]'",
    )  # fmt: skip
    report.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="an earlier report there is replaced"
    )
    report.set_defaults(command="report")


def report(arguments: argparse.Namespace) -> int:
    """Make a report and print where its page is."""
    from fame_lab.reports import report

    parameters = dict(arguments.parameter)
    print(report(arguments.notebook, arguments.output, parameters=parameters, progress=_lines()))
    return 0


def _lines() -> Callable[[str], None] | None:
    """Give what writes a line a cell into a log, so that a later reader knows which one took so long."""

    def tell(stage: str) -> None:
        print(stage, file=sys.stderr, flush=True)

    return None if sys.stderr.isatty() else tell


def _parameter(text: str) -> tuple[str, Any]:
    from fame_lab.notebook_parameters import option  # it brings nbformat

    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, option(value)
