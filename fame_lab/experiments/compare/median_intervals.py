"""The difference of two medians, with its confidence interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Interval", "difference"]


@dataclass(frozen=True)
class Interval:
    """A value and its bounds.

    Parameters
    ----------
    value, low, high : float
        `value` lies between `low` and `high`.
    """

    value: float
    low: float
    high: float

    def log(self) -> Interval:
        """Return the interval of the logarithm; all three must be above 0."""
        return Interval(math.log(self.value), math.log(self.low), math.log(self.high))


def difference(a: Interval, b: Interval) -> Interval:
    """Bound b - a by the bounds of either, of the same confidence, for independent a and b.

    It uses the method of variance estimates recovery, which assumes no shape: G. Y. Zou and A. Donner,
    Construction of Confidence Limits About Effect Measures, Statistics in Medicine 27(10), 2008.

    Examples
    --------
    >>> difference(Interval(10, 7, 13), Interval(20, 16, 24))
    Interval(value=10, low=5.0, high=15.0)
    """
    value = b.value - a.value
    return Interval(
        value,
        value - math.hypot(b.value - b.low, a.high - a.value),
        value + math.hypot(b.high - b.value, a.value - a.low),
    )
