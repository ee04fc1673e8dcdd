"""Compare the counts of two recordings, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fame_lab.core.sizes import format_size
from fame_lab.experiments.compare.quantities import ExactPoint, aligned
from fame_lab.traffic.traffic import Traffic

__all__ = ["counts"]

_UNITS = {"accesses": "accesses", "bytes": "B"}


def counts(name: str, a: Traffic, b: Traffic) -> Iterator[ExactPoint]:
    """Yield the sums by initiator and home of two traces, and whether all counts by granule are the same.

    Of samples, only the set of changed granules is compared: the number of looks is no property of theirs.

    Parameters
    ----------
    name : str
        Their common name.
    a, b : Traffic
        Of one source.
    """
    if a.source == "trace":
        for what, units in _UNITS.items():
            yield from _sums(name, what, units, a.matrix(what), b.matrix(what))
        if a.cache is not None and b.cache is not None:
            yield from _sums(name, "transactions", "transactions", a.transactions(), b.transactions())
            yield from _sums(name, "misses", "misses", a.misses(), b.misses())
    if a.granule == b.granule:
        touched_a, touched_b = _touched(a), _touched(b)
        same = np.array_equal(touched_a, touched_b) if a.source == "samples" else _same(a, b)
        quantity = f"granules of {format_size(a.granule)}, count by count"
        if a.source == "samples":
            quantity = f"granules of {format_size(a.granule)} that changed"
        yield ExactPoint(name, quantity, "", {}, touched_a.size, touched_b.size, same)


def _sums(name: str, what: str, units: str, a: xr.DataArray, b: xr.DataArray) -> Iterator[ExactPoint]:
    for at, count_a, count_b in aligned(a, b):
        sum_a, sum_b = int(count_a[0]), int(count_b[0])
        yield ExactPoint(name, what, units, at, sum_a, sum_b, sum_a == sum_b)


def _touched(traffic: Traffic) -> npt.NDArray[Any]:
    dataset = traffic.counts
    which = dataset["changed"] if traffic.source == "samples" else dataset["bytes"].sum(("op", "node"))
    return np.array(dataset["granule"].values[which.values > 0])


def _same(a: Traffic, b: Traffic) -> bool:
    return all(
        np.array_equal(a.counts[each].values, b.counts[each].values)
        for each in ("accesses", "bytes", "granule", "node")
    )
