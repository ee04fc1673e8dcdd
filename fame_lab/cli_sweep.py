"""The word ``sweep``: a probe at every combination of values, saved as it goes."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from typing import Any

from fame_lab.errors import SpecError
from fame_lab.quoting import plain

__all__ = ["sweep"]


def sweep(arguments: argparse.Namespace) -> int:
    """Sweep, and print the dataset, or with ``--json`` what became of it; 1 if points failed."""
    from fame_lab import spec_toml, sweeps

    over, parameters = _once(arguments.over, "--over"), _once(arguments.parameter, "-p")
    own = inspect.signature(sweeps.sweep).parameters
    if taken := [name for name in parameters if name in own]:
        raise SpecError(
            f"-p {taken[0]}=... would be the sweep's own: give --over {taken[0]}=... with one value"
        )
    if arguments.plot is not None and arguments.plot.suffix not in (".png", ".svg", ".pdf"):
        raise SpecError(f"--plot is {str(arguments.plot)!r}: give a name that ends in .png, .svg or .pdf")
    dataset = sweeps.sweep(
        arguments.probe,
        over,
        repeats=arguments.repeats,
        spec=None if arguments.spec is None else spec_toml.read(arguments.spec),
        seed=arguments.seed,
        directory=arguments.output,
        cluster=arguments.cluster,
        **parameters,
    )
    if arguments.plot is not None:
        sweeps.Sweep(dataset).plot().savefig(arguments.plot)
    told = {name: dataset.attrs[name] for name in ("probe", "axes", "missing", "failed", "errors")}
    sizes = {str(name): size for name, size in dataset.sizes.items()}
    if arguments.json:
        print(json.dumps({"directory": str(arguments.output), "sizes": sizes, **told}, indent=1))
    else:
        print(dataset)
    for what, words in (("could not be measured", told["errors"]), ("failed", told["failed"])):
        if words:
            print(f"fame-lab: points of the sweep {what}: {plain(words)}", file=sys.stderr)
    return 1 if told["missing"] or told["failed"] else 0


def _once(given: list[tuple[str, Any]], word: str) -> dict[str, Any]:
    found = dict(given)
    if len(found) < len(given):
        names = [name for name, _ in given]
        twice = next(name for name in names if names.count(name) > 1)
        raise SpecError(f"{word} {twice} is given twice: give it once, with all its values parted by commas")
    return found
