"""Sums of a trace's counts: by home, by initiator, local and remote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError, TrafficError
from fame_lab.traffic.validation import OPS

if TYPE_CHECKING:
    from fame_lab.traffic.data import TrafficData

__all__ = ["by_home", "changed", "changed_by", "heat", "matrix", "over_time", "remote_share", "require_trace"]

_UNITS = {"accesses": "accesses", "bytes": "B"}
_TRANSACTIONS = {"transactions": "transactions", "misses": "misses"}


def require_trace(traffic: TrafficData, question: str) -> None:
    """Raise TrafficError of samples, which have neither loads nor authors."""
    if traffic.source != "trace":
        raise TrafficError(
            f"samples have no author and no loads, so they cannot tell {question}; changed() tells what they "
            "saw. To count accesses give the lab trace=True, which needs accel='tcg', and record again"
        )


def _check_what(what: str, traffic: TrafficData | None = None) -> None:
    """Raise SpecError for what cannot be counted, and TrafficError for what the `traffic` did not count."""
    names = _UNITS if traffic is None else _UNITS | _TRANSACTIONS
    if what not in names:
        raise SpecError(f"what is {quoted(what)}", hint=f"give {' or '.join(map(repr, names))}")
    if traffic is not None and what not in traffic.counts:
        raise TrafficError(
            f"it was recorded without a cache, so no {what} were counted",
            hint='lab.record(cache=Cache("1M")), or `fame-lab trace --cache 1M`',
        )


def matrix(traffic: TrafficData, what: str) -> xr.DataArray:
    """Add up by initiator and home: see :meth:`fame_lab.traffic.views.TrafficViews.matrix`."""
    require_trace(traffic, "who accessed whose memory")
    _check_what(what)
    nodes = list(traffic.nodes)
    homes = traffic.books.homes(traffic.counts["granule"].values)
    return xr.DataArray(
        by_home(traffic.counts[what].values, homes, len(nodes)),
        dims=("op", "initiator", "home"),
        coords={"op": list(OPS), "initiator": nodes, "home": nodes},
        name=what,
        attrs={"units": _UNITS[what], "long_name": f"{what} by initiator and home"},
    )


def by_home(values: npt.NDArray[Any], homes: npt.NDArray[np.intp], nodes: int) -> npt.NDArray[Any]:
    """Add up the last axis by home, exactly.

    Parameters
    ----------
    values : ndarray of int, shape (..., places)
    homes : ndarray of int, shape (places,)
        Node number, from 0, of each place. It is quickest where neighbours have the same home.
    nodes : int

    Returns
    -------
    ndarray of shape (..., nodes)
    """
    total = np.zeros((*values.shape[:-1], nodes), values.dtype)
    if homes.size:
        starts = np.flatnonzero(np.diff(homes, prepend=-1))
        runs = np.add.reduceat(values, starts, axis=-1)
        for home in np.unique(homes[starts]):
            total[..., home] = runs[..., homes[starts] == home].sum(axis=-1)
    return total


def remote_share(traffic: TrafficData, what: str) -> xr.Dataset:
    """Divide remote by all: see :meth:`fame_lab.traffic.views.TrafficViews.remote_share`."""
    counts = matrix(traffic, what)
    local = counts.values.diagonal(axis1=1, axis2=2)
    of_all = counts.values.sum(axis=2)
    dims: dict[str, tuple[str, ...]] = {
        "share": ("op", "initiator"), "by_op": ("op",), "by_initiator": ("initiator",), "overall": (),
    }  # fmt: skip
    shares = {}
    for name, result_dims in dims.items():
        over = tuple(axis for axis, dim in enumerate(("op", "initiator")) if dim not in result_dims)
        every = np.asarray(of_all.sum(axis=over), "f8")
        remote = np.asarray((of_all - local).sum(axis=over), "f8")
        share = np.divide(remote, every, out=np.full(every.shape, np.nan), where=every > 0)
        shares[name] = (result_dims, share, {"units": "1", "long_name": f"remote share of {what}"})
    return xr.Dataset(shares, coords={"op": list(OPS), "initiator": list(traffic.nodes)})


def heat(traffic: TrafficData, what: str) -> xr.DataArray:
    """Return the counts by place: see :meth:`fame_lab.traffic.views.TrafficViews.heat`."""
    require_trace(traffic, "which node accessed what")
    _check_what(what, traffic)
    units = (_UNITS | _TRANSACTIONS)[what]
    return traffic.counts[what].assign_attrs(units=units, long_name=f"{what} by granule")


def changed(traffic: TrafficData) -> xr.DataArray:
    """Return the changes that samples saw: see :meth:`fame_lab.traffic.views.TrafficViews.changed`."""
    if traffic.source != "samples":
        raise TrafficError("a trace counts accesses, not what changed: heat() has them, by node and granule")
    return traffic.counts["changed"].assign_attrs(units="looks", long_name="looks that saw it changed")


def changed_by(traffic: TrafficData) -> xr.DataArray:
    """Return the changes by node: see :meth:`fame_lab.traffic.views.TrafficViews.changed_by`."""
    changed(traffic)
    if "changed_by" not in traffic.counts:
        raise TrafficError(
            "these samples do not tell who stored: the host's kernel has no soft-dirty pages "
            "(CONFIG_MEM_SOFT_DIRTY). changed() tells what changed; trace=True would tell who"
        )
    return traffic.counts["changed_by"].assign_attrs(units="looks", long_name="looks that saw it changed")


def over_time(traffic: TrafficData, what: str | None) -> xr.DataArray:
    """Return the increments: see :meth:`fame_lab.traffic.views.TrafficViews.over_time`."""
    if traffic.source == "trace":
        what = "accesses" if what is None else what
        _check_what(what, traffic)
        units = (_UNITS | _TRANSACTIONS)[what]
        return traffic.timeline[what].assign_attrs(units=units, long_name=f"{what} in the interval")
    if what not in (None, "changed"):
        require_trace(traffic, f"{what} over time")
    return traffic.timeline["changed"].assign_attrs(units="granules", long_name="granules that had changed")
