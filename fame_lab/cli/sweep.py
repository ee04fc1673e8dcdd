"""The command ``sweep``: a probe at every combination of values, saved as it goes."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import click

from fame_lab.cli.arguments import (
    Command,
    as_path,
    check_picture,
    json_option,
    option,
    parameter,
    parameter_option,
    plot_option,
)
from fame_lab.core.sanitize import plain
from fame_lab.errors import SpecError

__all__ = ["sweep"]


@click.command(
    cls=Command,
    epilog="Each point is saved at once. The same words again go on where it was, also after a kill.",
)
@click.argument("probe", metavar="PROBE")
@option(
    "--over",
    "NAME=VALUE,VALUE",
    "Of the lab or of the probe; may be given again: --over nodes=2,4,8.",
    multiple=True,
    required=True,
    type=parameter,
)
@option("--repeats", "N", "Of each point; by default 5.", type=int, default=5)
@option("--output", "DIR", "Where the sweep is kept.", type=as_path, required=True)
@option("--seed", "N", "Of the random order; by default 0.", type=int, default=0)
@option("--spec", "FILE", "TOML, with what every lab has; by default nothing.", type=as_path)
@option("--cluster", "ADDRESS", "Of a Dask scheduler that you trust: tcp://host:8786; by default none.")
@parameter_option("Of the probe, at every point; may be given again; by default none.")
@plot_option
@json_option
def sweep(
    probe: str,
    over: tuple[tuple[str, Any], ...],
    repeats: int,
    output: Path,
    seed: int,
    spec: Path | None,
    cluster: str | None,
    parameters: tuple[tuple[str, Any], ...],
    plot: Path | None,
    as_json: bool,
) -> int:
    """Measure while the lab and what the probe is told change.

    PROBE is such as chase; a wrong name lists all. Status 1 means that points failed.
    """
    from fame_lab.experiments.sweep import sweep as sweeps
    from fame_lab.spec import toml

    axes, fixed = _reject_duplicates(over, "--over"), _reject_duplicates(parameters, "-p")
    own = inspect.signature(sweeps.sweep).parameters
    if reserved := [name for name in fixed if name in own]:
        raise SpecError(
            f"-p {reserved[0]}=... would be the sweep's own",
            hint=f"give --over {reserved[0]}=... with one value",
        )
    check_picture(plot, replaced=True)  # the same words go on with a sweep, or draw it again
    dataset = sweeps.sweep(
        probe,
        axes,
        repeats=repeats,
        spec=None if spec is None else toml.read(spec),
        seed=seed,
        directory=output,
        cluster=cluster,
        **fixed,
    )
    if plot is not None:
        sweeps.Sweep(dataset).plot().savefig(plot)
    fate = {name: dataset.attrs[name] for name in ("probe", "axes", "missing", "failed", "errors")}
    sizes = {str(name): size for name, size in dataset.sizes.items()}
    if as_json:
        print(json.dumps({"directory": str(output), "sizes": sizes, **fate}, indent=1))
    else:
        print(dataset)
    for what, words in (("could not be measured", fate["errors"]), ("failed", fate["failed"])):
        if words:
            print(f"fame-lab: points of the sweep {what}: {plain(words)}", file=sys.stderr)
    return 1 if fate["missing"] or fate["failed"] else 0


def _reject_duplicates(pairs: tuple[tuple[str, Any], ...], option: str) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SpecError(
            f"{option} {twice} is given twice", hint="give it once, with all its values parted by commas"
        )
    return values
