"""The quantities of two measurements that can be compared, point by point.

What repeats (batches, exchanges, looks, a sweep's ``repeat``) is a dimension without labels: its values are
one sample. All other dimensions have labels, and the points of one label are compared with each other.

- What has a unit is *measured*: times, rates, bandwidths, the clocks' own properties.
- What must not happen, and counts that follow from the parameters and the seed, are *exact*.
- Left out: how often something was done, which follows from how fast it was; readings of clocks, whose zero
  is anywhere; and what is a function of these, such as summaries.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from fame_lab.core.sanitize import plain, quoted
from fame_lab.errors import SpecError
from fame_lab.results.sample import Sample

__all__ = ["ExactPoint", "MeasuredPoint", "Point", "aligned", "only_in_one", "points"]

_EXACT = {"lost", "wrong", "errors", "loads", "stores", "checked"}
#: With a unit, but no quantity: how long a batch was to last, the clock's cost beside each probe, clocks.
_NOT_COMPARED = {
    "elapsed", "window", "timer", "store", "sight", "answer", "host_before", "guest_clock", "host_after",
}  # fmt: skip
#: Without a unit: from 0 to 1.
_SHARES = ("_share", "fairness")
_MAX_POINTS = 200_000


@dataclass(frozen=True)
class Point:
    """One quantity at one place of both.

    Parameters
    ----------
    result : str
        The measurement that it is of.
    quantity : str
    units : str
    at : dict
        Label by dimension.
    """

    result: str
    quantity: str
    units: str
    at: dict[str, Any]


@dataclass(frozen=True)
class MeasuredPoint(Point):
    """One that was measured, batch by batch."""

    a: Sample
    b: Sample


@dataclass(frozen=True)
class ExactPoint(Point):
    """One that was counted exactly.

    Parameters
    ----------
    a, b : int
    same : bool
        Whether they, and all that they sum up, are the same.
    """

    a: int
    b: int
    same: bool


def points(name: str, a: xr.Dataset, b: xr.Dataset) -> Iterator[MeasuredPoint | ExactPoint]:
    """Return all that two results of one probe have in common.

    Parameters
    ----------
    name : str
        The results' common name.
    a, b : Dataset
        As of :attr:`fame_lab.Result.dataset`.

    Raises
    ------
    SpecError
        If they are not of one unit, hold a label twice, or claim more points than anybody could read.
    """
    failed_a, failed_b = (int(bool(str(each.attrs.get("failed", "")))) for each in (a, b))
    yield ExactPoint(name, "failed", "", {}, failed_a, failed_b, failed_a == failed_b)
    a, b = _with_lost(a), _with_lost(b)
    raced = _raced(a) | _raced(b)
    for variable in map(str, a.data_vars):
        if variable not in b.data_vars:
            continue
        exact = variable in _EXACT
        if not exact and not _is_measured(variable, a[variable]):
            continue
        units = _units(name, variable, a[variable], b[variable])
        for at, values_a, values_b in aligned(a[variable], b[variable]):
            if exact:
                # Where a sweep lacks points of one, sums tell nothing.
                if values_a.size == values_b.size > 0 and (variable, at.get("workload")) not in raced:
                    total_a, total_b = _total(values_a), _total(values_b)
                    yield ExactPoint(name, variable, units, at, total_a, total_b, total_a == total_b)
            elif values_a.size and values_b.size:
                samples = _sample(a, variable, at, values_a), _sample(b, variable, at, values_b)
                yield MeasuredPoint(name, variable, units, at, *samples)
    if all("count" in each and "outcome" in each.indexes for each in (a, b)) and "verdict" in a.coords:
        yield from _outcomes(name, a, b)


def aligned(a: xr.DataArray, b: xr.DataArray) -> Iterator[tuple[dict[str, Any], Any, Any]]:
    """Return the label of each common point by dimension, and the finite values that either has there.

    Yields
    ------
    at : dict
    a, b : ndarray, shape (n,)
        In the order of measuring.
    """
    dims = [str(dim) for dim in dict.fromkeys((*_labelled(a), *_labelled(b)))]
    a, b = (_spread(each, dims) for each in (a, b))
    if not set(dims) <= set(a.dims) & set(b.dims):
        return
    labels = [_common(a, b, dim) for dim in dims]
    if not all(map(len, labels)):
        return
    if np.prod([len(each) for each in labels], dtype=float) > _MAX_POINTS:
        raise SpecError(f"{a.name!s} has more than {_MAX_POINTS} points: compare parts of it")
    places = [
        [pd.Index(each[dim].values).get_indexer(held) for dim, held in zip(dims, labels, strict=True)]
        for each in (a, b)
    ]
    rows = []
    for each, at in zip((a, b), places, strict=True):
        values = each.transpose(*dims, "repeat", ..., missing_dims="ignore").values
        values = values[np.ix_(*at)] if dims else values
        rows.append(values.reshape(*(len(held) for held in labels), -1))
    for place in itertools.product(*(range(len(held)) for held in labels)):
        label = {dim: _label(held[k]) for dim, held, k in zip(dims, labels, place, strict=True)}
        yield label, _finite(rows[0][place]), _finite(rows[1][place])


def only_in_one(a: xr.Dataset, b: xr.Dataset) -> dict[str, list[str]]:
    """Name labels, and quantities, that only one has: by the side, ``"a"`` or ``"b"``, that has them."""
    found: dict[str, list[str]] = {}
    for side, one, other in (("a", a, b), ("b", b, a)):
        told = []
        for dim in map(str, one.dims):
            if dim in one.indexes and dim in other.coords:
                there = {_label(each) for each in np.atleast_1d(other[dim].values)}
                told += [
                    f"{dim} {quoted(label, 60)}"
                    for label in map(_label, one[dim].values)
                    if label not in there and label == label
                ]
        told += [
            plain(str(name), keep="")
            for name, held in one.data_vars.items()
            if name not in other.data_vars and (name in _EXACT or _is_measured(str(name), held))
        ]
        found[side] = told
    return found


def _is_measured(name: str, held: xr.DataArray) -> bool:
    if held.dtype.kind not in "iuf" or name in _NOT_COMPARED or "statistic" in held.dims:
        return False
    if name.endswith(("_low", "_high")):
        return False
    return bool(str(held.attrs.get("units", ""))) or name.endswith(_SHARES)


def _units(name: str, variable: str, a: xr.DataArray, b: xr.DataArray) -> str:
    units_a, units_b = (str(each.attrs.get("units", "")) for each in (a, b))
    if units_a != units_b:
        raise SpecError(
            f"{name}: {variable} is in {quoted(units_a, 40)} in a and in {quoted(units_b, 40)} in b: "
            "give both in one unit"
        )
    return plain(units_a, keep="")[:40]


def _with_lost(dataset: xr.Dataset) -> xr.Dataset:
    """Add the updates that were lost, where a probe leaves it at what was expected and what was held."""
    if {"expected", "held"} <= set(dataset.data_vars) and "lost" not in dataset:
        expected, held = dataset["expected"], dataset["held"]
        if expected.dims == held.dims and all(each.dtype.kind in "iu" for each in (expected, held)):
            return dataset.assign(lost=expected.astype("i8") - held.astype("i8"))
    return dataset


def _raced(dataset: xr.Dataset) -> set[tuple[str, Any]]:
    """Name the counts, and their workloads, that a race between nodes decided, and not the seed alone."""
    if "workload" not in dataset.indexes or "node" not in dataset.dims or "retries" not in dataset:
        return set()
    retries = dataset["retries"]
    if "workload" not in retries.dims or retries.dtype.kind not in "iuf":
        return set()
    again = retries.sum([dim for dim in retries.dims if dim != "workload"])
    retried = {
        (name, _label(label))
        for label in dataset["workload"].values[again.values > 0]
        for name in ("loads", "stores")
    }
    return retried | ({("errors", "gups")} if dataset.sizes["node"] > 1 else set())


def _sample(dataset: xr.Dataset, variable: str, at: dict[str, Any], values: Any) -> Sample:
    """Take the values; a single one with the bounds that the probe itself gives, if it gives any."""
    names = f"{variable}_low", f"{variable}_high"
    if values.size == 1 and all(name in dataset and set(dataset[name].dims) == set(at) for name in names):
        low, high = (float(dataset[name].sel(at)) for name in names)
        if low <= values[0] <= high:
            return Sample(values, (low, high))
    return Sample(values)


def _outcomes(name: str, a: xr.Dataset, b: xr.Dataset) -> Iterator[MeasuredPoint | ExactPoint]:
    """Compare what a litmus test came to: forbidden outcomes by their number, the relaxed by being seen.

    How often a race goes one way is the scheduler's: two runs of one thing differ in it by all there is, so
    no share is held against another.
    """
    if a["verdict"].dims != ("outcome",):
        return
    verdict = dict(zip(a["outcome"].values.tolist(), a["verdict"].values.tolist(), strict=True))
    for at, count_a, count_b in aligned(a["count"], b["count"]):
        total_a, total_b = _total(count_a), _total(count_b)
        what = verdict.get(at.get("outcome"))
        if what == "forbidden":
            yield ExactPoint(name, "forbidden outcomes", "", at, total_a, total_b, total_a == total_b)
        elif what == "relaxed":
            # Seen by one alone, it tells nothing: one sample of one value is too few.
            seen_a, seen_b = (Sample(np.array([float(each > 0)])) for each in (total_a, total_b))
            yield MeasuredPoint(name, "relaxed outcomes seen", "", at, seen_a, seen_b)


def _labelled(held: xr.DataArray) -> list[str]:
    return [str(dim) for dim in held.dims if dim in held.indexes and dim != "repeat"]


def _spread(held: xr.DataArray, dims: list[str]) -> xr.DataArray:
    """Make a dimension of what one has as a single label, where the other has several."""
    single = [dim for dim in dims if dim not in held.dims and dim in held.coords and held[dim].ndim == 0]
    return held.expand_dims(single)


def _common(a: xr.DataArray, b: xr.DataArray, dim: str) -> Any:
    both = [pd.Index(each[dim].values) for each in (a, b)]
    for each in both:
        if not each.is_unique:
            raise SpecError(f"{a.name!s}: {dim} holds a label twice, so that no point is known by it")
    return both[0][both[0].isin(both[1])]


def _label(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _finite(values: Any) -> Any:
    values = np.ravel(values)
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values


def _total(values: Any) -> int:
    return sum(map(int, values.tolist()))
