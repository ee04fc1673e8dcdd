"""The word ``compare``: two results, recordings, sweeps or reports, told apart."""

from __future__ import annotations

import argparse
import json

from fame_lab.cli.arguments import as_path, check_picture

__all__ = ["add_arguments", "compare"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words that it takes."""
    parser.add_argument(
        "a", type=as_path, metavar="A", help="a saved result, saved traffic, a sweep, or a report's folder"
    )
    parser.add_argument("b", type=as_path, metavar="B", help="another of its kind")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plot", type=as_path, metavar="FILE", help="draw it, as .png, .svg or .pdf")


def compare(arguments: argparse.Namespace) -> int:
    """Print what differs in how they were made, then in what they say."""
    from fame_lab.experiments.compare.comparison import compare as compared

    check_picture(arguments.plot)
    comparison = compared(arguments.a, arguments.b)
    print(json.dumps(comparison.to_dict(), indent=1) if arguments.json else comparison)
    if arguments.plot is not None:
        comparison.plot().savefig(arguments.plot)
    return 0
