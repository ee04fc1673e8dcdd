"""The verdict on each point of a comparison: agrees, differs, or too few batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from fame_lab.experiments.compare.median_intervals import Interval, difference
from fame_lab.experiments.compare.quantities import ExactPoint, MeasuredPoint, Point
from fame_lab.results.sample import CONFIDENCE, Sample

__all__ = ["CONFIDENCE", "Row", "judge"]


@dataclass(frozen=True)
class Row:
    """One quantity at one place: its values in a and b, and the verdict.

    Parameters
    ----------
    result, quantity, units : str
    kind : {"measured", "exact"}
    at : dict
        Label by dimension.
    n_a, n_b : int
        The numbers of batches.
    a, b : float
        Medians [units], or counts.
    ratio : float
        b / a; NaN if a is 0 or they are not of one sign.
    low, high : float
        Bounds of the ratio; NaN if there are none.
    within_spread : bool
        Whether the median of each lies in the middle half of the other's batches.
    verdict : {"agrees", "differs", "too few"}
    """

    result: str
    quantity: str
    units: str
    kind: str
    at: dict[str, Any]
    n_a: int
    n_b: int
    a: float
    b: float
    ratio: float
    low: float
    high: float
    within_spread: bool
    verdict: str

    @property
    def place(self) -> str:
        """The labels, as words."""
        return ", ".join(f"{dim}={label}" for dim, label in self.at.items())

    @property
    def factor(self) -> float:
        """The ratio or its inverse, whichever is larger: 1 if they are equal, infinite if one is 0."""
        if self.a == self.b:
            return 1.0
        return max(self.ratio, 1 / self.ratio) if self.ratio > 0 else math.inf

    def to_dict(self) -> dict[str, Any]:
        """Return its fields by name."""
        return asdict(self)


def judge(points: Sequence[MeasuredPoint | ExactPoint]) -> list[Row]:
    """Judge all points of one comparison.

    Two medians *agree* if the bounds of their ratio enclose 1, or if the difference is within the spread:
    each lies in the middle half of the other's batches. They *differ* if neither is so. There are *too few*
    batches if either median has no bounds: fewer than 8, or more that depend on each other. Counts agree if
    they are equal.

    All bounds of one comparison hold together, with 95 %: each alone is surer, by Bonferroni's inequality
    (O. J. Dunn, Multiple Comparisons Among Means, JASA 56, 1961). So of a hundred equal quantities, even one
    is said to differ in one comparison of twenty. The bounds are of these two runs; only a third run shows
    its own numbers (T. Kalibera and R. Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013). A sweep's
    repeats are taken as one sample, with batches that depend on each other.
    """
    compared = sum(isinstance(each, MeasuredPoint) and min(each.a.n, each.b.n) > 1 for each in points)
    alone, together = (NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / (2 * n)) for n in (1, max(1, compared)))
    return [
        _of_samples(point, alone, together) if isinstance(point, MeasuredPoint) else _of_counts(point)
        for point in points
    ]


def _of_counts(point: ExactPoint) -> Row:
    verdict = "agrees" if point.same else "differs"
    return _row(point, "exact", (1, 1), (float(point.a), float(point.b)), None, point.same, verdict)


def _of_samples(point: MeasuredPoint, alone: float, together: float) -> Row:
    a, b = point.a, point.b
    apart = _apart(a, b, together)
    within = all(low <= other <= high for (low, high), other in ((a.middle, b.median), (b.middle, a.median)))
    if np.array_equal(a.values, b.values):
        verdict = "agrees"
    elif a.bounds(alone) is None or b.bounds(alone) is None:
        verdict = "too few"
    elif within or (apart is not None and apart.low <= 0 <= apart.high):
        verdict = "agrees"
    else:
        verdict = "too few" if apart is None else "differs"
    bounds = apart if apart is not None and _positive(a, b) else None
    return _row(point, "measured", (a.n, b.n), (a.median, b.median), bounds, within, verdict)


def _positive(a: Sample, b: Sample) -> bool:
    return all(each.values.min() > 0 and (each.interval is None or each.interval[0] > 0) for each in (a, b))


def _apart(a: Sample, b: Sample, quantile: float) -> Interval | None:
    """Bound the difference of the medians: of their logarithms, unless a value or bound is 0 or below."""
    bounds_a, bounds_b = a.bounds(quantile), b.bounds(quantile)
    if bounds_a is None or bounds_b is None:
        return None
    both = Interval(a.median, *bounds_a), Interval(b.median, *bounds_b)
    return difference(*(each.log() for each in both)) if _positive(a, b) else difference(*both)


def _row(
    point: Point,
    kind: str,
    n: tuple[int, int],
    values: tuple[float, float],
    logs: Interval | None,
    within: bool,
    verdict: str,
) -> Row:
    a, b = values
    low, high = (math.exp(logs.low), math.exp(logs.high)) if logs is not None else (math.nan, math.nan)
    ratio = b / a if a * b > 0 or (b == 0 and a) else math.nan
    return Row(
        point.result, point.quantity, point.units, kind, point.at, *n, a, b, ratio, low, high, within, verdict
    )
