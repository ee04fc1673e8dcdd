"""The word ``sweep``: a probe at every combination of values, saved as it goes."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from typing import Any

from fame_lab.cli.arguments import as_path, check_picture, parameter
from fame_lab.core.sanitize import plain
from fame_lab.errors import SpecError

__all__ = ["add_arguments", "sweep"]


def add_arguments(words: Any) -> None:
    """Add it to the parser's, with what it takes."""
    sweep = words.add_parser(
        "sweep",
        help="measure while the lab and what the probe is told change",
        epilog="Each point is saved at once. The same words again go on where it was, also after a kill.",
    )
    sweep.add_argument("probe", metavar="PROBE", help="such as chase; a wrong name lists all")
    sweep.add_argument(
        "--over", action="append", required=True, type=parameter, metavar="NAME=VALUE,VALUE",
        help="a field of the lab or a parameter of the probe; may be given again: --over nodes=2,4,8",
    )  # fmt: skip
    sweep.add_argument("--repeats", type=int, default=5, metavar="N", help="by default 5")
    sweep.add_argument("--output", type=as_path, required=True, metavar="DIR", help="where the sweep is kept")
    sweep.add_argument("--seed", type=int, default=0, metavar="N", help="of the random order; by default 0")
    sweep.add_argument("--spec", type=as_path, metavar="FILE", help="of TOML, with what every lab has")
    sweep.add_argument(
        "--cluster", metavar="ADDRESS",
        help="of a Dask scheduler, such as tcp://host:8786; only in a network that you trust",
    )  # fmt: skip
    sweep.add_argument(
        "-p", dest="parameter", action="append", default=[], type=parameter, metavar="NAME=VALUE",
        help="of the probe, at every point",
    )  # fmt: skip
    sweep.add_argument("--plot", type=as_path, metavar="FILE", help="draw it, as .png, .svg or .pdf")
    sweep.add_argument("--json", action="store_true", help="where it is, and what became of it")
    sweep.set_defaults(command="sweep")


def sweep(arguments: argparse.Namespace) -> int:
    """Sweep, and print the dataset, or with ``--json`` what became of it; 1 if points failed."""
    from fame_lab.experiments.sweep import sweep as sweeps
    from fame_lab.spec import toml

    over, parameters = (
        _reject_duplicates(arguments.over, "--over"),
        _reject_duplicates(arguments.parameter, "-p"),
    )
    own = inspect.signature(sweeps.sweep).parameters
    if taken := [name for name in parameters if name in own]:
        raise SpecError(
            f"-p {taken[0]}=... would be the sweep's own: give --over {taken[0]}=... with one value"
        )
    check_picture(arguments.plot, replaced=True)  # the same words go on with a sweep, or draw it again
    dataset = sweeps.sweep(
        arguments.probe,
        over,
        repeats=arguments.repeats,
        spec=None if arguments.spec is None else toml.read(arguments.spec),
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


def _reject_duplicates(given: list[tuple[str, Any]], word: str) -> dict[str, Any]:
    found = dict(given)
    if len(found) < len(given):
        names = [name for name, _ in given]
        twice = next(name for name in names if names.count(name) > 1)
        raise SpecError(f"{word} {twice} is given twice: give it once, with all its values parted by commas")
    return found
