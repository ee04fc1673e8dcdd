"""Two measurements or two reports, compared."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from fame_lab.experiments.compare.data import ComparisonData
from fame_lab.experiments.compare.inputs import ComparisonInput, Measurement, Pair, load_input, match
from fame_lab.experiments.compare.manifest_diff import Difference, differences, merged, sort
from fame_lab.experiments.compare.quantities import ExactPoint, MeasuredPoint, only_in_one, points
from fame_lab.experiments.compare.traffic_counts import counts
from fame_lab.experiments.compare.verdicts import judge
from fame_lab.results import plots
from fame_lab.results.result import Result
from fame_lab.traffic.plots import captions
from fame_lab.traffic.traffic import Traffic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fame_lab.experiments.sweep.sweep import Sweep

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(ComparisonData):
    """A comparison that can be drawn and shown, made by :func:`compare`, with ComparisonData's fields."""

    def plot(self) -> Figure:
        """Draw the ratios with their intervals, and above them the differences of the manifests."""
        from fame_lab.experiments.compare.plot import plot  # it imports matplotlib

        return plot(self)

    def __repr__(self) -> str:
        from fame_lab.experiments.compare.text import to_text

        return to_text(self)

    def _repr_html_(self) -> str:
        from fame_lab.experiments.compare.html import comparison_html

        return comparison_html(self)


def compare(
    a: Measurement | Sweep | xr.Dataset | str | os.PathLike[str],
    b: Measurement | Sweep | xr.Dataset | str | os.PathLike[str],
) -> Comparison:
    """Compare two measurements, or all of two reports.

    Times and rates are compared by their medians: by an interval of the ratio, and beside the spread of their
    batches. Counts are compared exactly. :func:`fame_lab.experiments.compare.verdicts.judge` explains how;
    :mod:`fame_lab.experiments.compare.quantities` names the compared quantities.

    Of two reports, the first result of a probe is compared with the first of that probe, the second with the
    second, and so on. Results that only one has are named.

    Parameters
    ----------
    a, b : Result, Traffic, Sweep or its Dataset, or path
        A path is that of a saved result, of saved traffic, of a sweep, or of a report's folder.

    Returns
    -------
    Comparison

    Raises
    ------
    SpecError
        If they are not of one kind or probe, differ in units, cannot be read, or one was projected.
    TrafficError
        If saved traffic cannot be right.

    Examples
    --------
    >>> comparison = compare("reports/monday", "reports/tuesday")  # doctest: +SKIP
    >>> comparison.differs, comparison.table, comparison.agrees  # doctest: +SKIP
    """
    side_a, side_b = load_input(a, "a"), load_input(b, "b")
    pairs, only = match(side_a, side_b)
    quantities: list[MeasuredPoint | ExactPoint] = []
    for pair in pairs:
        found, unmatched = _compared(pair)
        quantities += found
        for which, names in unmatched.items():
            only[which] += [f"{pair.name}: {name}" for name in names]
    measurements = [*side_a.measured.values(), *side_b.measured.values()]
    return Comparison(
        side_a.name,
        side_b.name,
        tuple(_differs(side_a, side_b, pairs)),
        {which: tuple(names) for which, names in only.items()},
        tuple(judge(quantities)),
        (_host_cpu_wait(side_a), _host_cpu_wait(side_b)),
        tuple(dict.fromkeys(map(_kind, measurements))),
        tuple(dict(each.manifest) for each in measurements),
    )


def _compared(pair: Pair) -> tuple[list[MeasuredPoint | ExactPoint], dict[str, list[str]]]:
    """Return what both have in common, and the names of what only one has, by its side."""
    match pair:
        case name, Result() as a, Result() as b:
            return [*points(name, a.dataset, b.dataset)], only_in_one(a.dataset, b.dataset)
        case name, Traffic() as a, Traffic() as b:
            traced = [xr.Dataset({"accesses": each.matrix()}) for each in (a, b) if each.source == "trace"]
            return [*counts(name, a, b)], only_in_one(*traced) if traced else {}
    return [], {}  # match() makes no such pair


def _differs(a: ComparisonInput, b: ComparisonInput, pairs: list[Pair]) -> list[Difference]:
    """List the differences of the reports themselves, and the further ones of their results."""
    of_reports = differences(a.manifest, b.manifest)
    keys = {(each.what, str(each.a), str(each.b)) for each in of_reports}
    of_results = merged([(pair.name, differences(_fields(pair.a), _fields(pair.b))) for pair in pairs])
    others = [each for each in of_results if (each.what, str(each.a), str(each.b)) not in keys]
    return sort([*of_reports, *others])


def _kind(measured: Measurement) -> str:
    return (
        captions.source_caveat(measured) if isinstance(measured, Traffic) else plots.caveat(measured.manifest)
    )


def _host_cpu_wait(side: ComparisonInput) -> float:
    results = [each for each in side.measured.values() if isinstance(each, Result)]
    shares = [result.dataset.attrs.get("host_cpu_wait") for result in results]
    return max((float(each) for each in shares if isinstance(each, (float, np.floating))), default=math.nan)


def _fields(measured: Measurement) -> dict[str, Any]:
    """Return the manifest, with the settings that the measurement keeps elsewhere."""
    if isinstance(measured, Traffic):
        window = [*measured.window]
        return measured.manifest | {
            "spec": measured.spec, "granule": measured.granule, "window": window, "ended": measured.ended,
        }  # fmt: skip
    single = {
        str(name): coordinate.values.item()
        for name, coordinate in measured.dataset.coords.items()
        if coordinate.ndim == 0 and coordinate.dtype.kind in "biufUS"
    }
    return measured.manifest | single
