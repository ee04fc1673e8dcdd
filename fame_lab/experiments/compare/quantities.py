"""The quantities of two measurements that can be compared, point by point.

Repetitions (batches, exchanges, looks, a sweep's ``repeat``) are a dimension without labels: its values are
one sample. All other dimensions have labels, and the points of one label are compared with each other.

- Quantities with a unit are *measured*: times, rates, bandwidths, the clocks' own properties.
- Counts of events that must not happen, or that follow from the parameters and the seed, are *exact*.
- Left out are numbers of repetitions, which follow from the speed; readings of clocks, since their zero is
  anywhere; and functions of these, such as summaries.
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
#: They have a unit, but are no quantity: a batch's planned length, the clock's cost, clocks.
_NOT_COMPARED = {
    "elapsed", "window", "timer", "store", "sight", "answer", "host_before", "guest_clock", "host_after",
}  # fmt: skip
#: They have no unit, and lie from 0 to 1.
_SHARES = ("_share", "fairness")
_MAX_POINTS = 200_000


@dataclass(frozen=True)
class Point:
    """One quantity at one place of both.

    Parameters
    ----------
    result : str
        The name of the measurement.
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
    """A quantity that was measured, batch by batch."""

    a: Sample
    b: Sample


@dataclass(frozen=True)
class ExactPoint(Point):
    """A quantity that was counted exactly.

    Parameters
    ----------
    a, b : int
    same : bool
        Whether both, and all their summands, are the same.
    """

    a: int
    b: int
    same: bool


def points(name: str, a: xr.Dataset, b: xr.Dataset) -> Iterator[MeasuredPoint | ExactPoint]:
    """Yield all points that two results of one probe have in common.

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
                # If a sweep lacks points on one side, sums cannot be compared.
                if values_a.size == values_b.size > 0 and (variable, at.get("workload")) not in raced:
                    total_a, total_b = _total(values_a), _total(values_b)
                    yield ExactPoint(name, variable, units, at, total_a, total_b, total_a == total_b)
            elif values_a.size and values_b.size:
                samples = _sample(a, variable, at, values_a), _sample(b, variable, at, values_b)
                yield MeasuredPoint(name, variable, units, at, *samples)
    if all("count" in each and "outcome" in each.indexes for each in (a, b)) and "verdict" in a.coords:
        yield from _outcomes(name, a, b)


def aligned(a: xr.DataArray, b: xr.DataArray) -> Iterator[tuple[dict[str, Any], Any, Any]]:
    """Yield the label of each common point by dimension, and the finite values of either there.

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
        raise SpecError(f"{a.name!s} has more than {_MAX_POINTS} points", hint="compare parts of it")
    places = [
        [pd.Index(each[dim].values).get_indexer(index) for dim, index in zip(dims, labels, strict=True)]
        for each in (a, b)
    ]
    rows = []
    for each, at in zip((a, b), places, strict=True):
        values = each.transpose(*dims, "repeat", ..., missing_dims="ignore").values
        values = values[np.ix_(*at)] if dims else values
        rows.append(values.reshape(*(len(index) for index in labels), -1))
    for place in itertools.product(*(range(len(index)) for index in labels)):
        label = {dim: _label(index[k]) for dim, index, k in zip(dims, labels, place, strict=True)}
        yield label, _finite(rows[0][place]), _finite(rows[1][place])


def only_in_one(a: xr.Dataset, b: xr.Dataset) -> dict[str, list[str]]:
    """Return the names of labels and quantities on one side only, by that side, ``"a"`` or ``"b"``."""
    names: dict[str, list[str]] = {}
    for side, one, other in (("a", a, b), ("b", b, a)):
        own = []
        for dim in map(str, one.dims):
            if dim in one.indexes and dim in other.coords:
                labels = {_label(each) for each in np.atleast_1d(other[dim].values)}
                own += [
                    f"{dim} {quoted(label, 60)}"
                    for label in map(_label, one[dim].values)
                    if label not in labels and label == label
                ]
        own += [
            plain(str(name), keep="")
            for name, variable in one.data_vars.items()
            if name not in other.data_vars and (name in _EXACT or _is_measured(str(name), variable))
        ]
        names[side] = own
    return names


def _is_measured(name: str, variable: xr.DataArray) -> bool:
    if variable.dtype.kind not in "iuf" or name in _NOT_COMPARED or "statistic" in variable.dims:
        return False
    if name.endswith(("_low", "_high")):
        return False
    return bool(str(variable.attrs.get("units", ""))) or name.endswith(_SHARES)


def _units(name: str, variable: str, a: xr.DataArray, b: xr.DataArray) -> str:
    units_a, units_b = (str(each.attrs.get("units", "")) for each in (a, b))
    if units_a != units_b:
        raise SpecError(
            f"{name}: {variable} is in {quoted(units_a, 40)} in a and in {quoted(units_b, 40)} in b",
            hint="give both in one unit",
        )
    return plain(units_a, keep="")[:40]


def _with_lost(dataset: xr.Dataset) -> xr.Dataset:
    """Add the number of lost updates, where a probe has only the expected and the final value."""
    if {"expected", "held"} <= set(dataset.data_vars) and "lost" not in dataset:
        expected, final = dataset["expected"], dataset["held"]
        if expected.dims == final.dims and all(each.dtype.kind in "iu" for each in (expected, final)):
            return dataset.assign(lost=expected.astype("i8") - final.astype("i8"))
    return dataset


def _raced(dataset: xr.Dataset) -> set[tuple[str, Any]]:
    """Return the counts, and their workloads, that depend on a race between nodes, not on the seed alone."""
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
    """Return the values as a sample; a single one with the bounds of the probe itself, if it has any."""
    names = f"{variable}_low", f"{variable}_high"
    if values.size == 1 and all(name in dataset and set(dataset[name].dims) == set(at) for name in names):
        low, high = (float(dataset[name].sel(at)) for name in names)
        if low <= values[0] <= high:
            return Sample(values, (low, high))
    return Sample(values)


def _outcomes(name: str, a: xr.Dataset, b: xr.Dataset) -> Iterator[MeasuredPoint | ExactPoint]:
    """Compare a litmus test's outcomes: forbidden ones by their number, relaxed ones by being seen.

    The scheduler decides how often a race goes one way. Two runs of one thing differ in it without limit, so
    shares are not compared.
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
            # If one side alone saw it, that proves nothing: one sample of one value is too few.
            seen_a, seen_b = (Sample(np.array([float(each > 0)])) for each in (total_a, total_b))
            yield MeasuredPoint(name, "relaxed outcomes seen", "", at, seen_a, seen_b)


def _labelled(array: xr.DataArray) -> list[str]:
    return [str(dim) for dim in array.dims if dim in array.indexes and dim != "repeat"]


def _spread(array: xr.DataArray, dims: list[str]) -> xr.DataArray:
    """Make a dimension of each single label, since the other side may have several."""
    single = [dim for dim in dims if dim not in array.dims and dim in array.coords and array[dim].ndim == 0]
    return array.expand_dims(single)


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
