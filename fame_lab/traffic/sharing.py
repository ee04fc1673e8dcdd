"""Sharing: the class of each granule, and the granules with the most accesses.

A granule is shared as a whole, even by two nodes that use different words of it. Granules of 64 bytes show
the false sharing of cache lines, granules of 4 KiB that of pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fame_lab.core.numeric import whole
from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError
from fame_lab.traffic.aggregation import require_trace
from fame_lab.traffic.validation import OPS

if TYPE_CHECKING:
    from fame_lab.traffic.data import TrafficData

__all__ = ["KINDS", "hottest", "kinds", "sharing"]

KINDS = ("private", "read-shared", "write-shared")


def kinds(touched: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Sort places by the nodes that touch them.

    Parameters
    ----------
    touched : ndarray of bool, shape (2, nodes, places)
        Whether a node loads from a place, and whether it stores to it.

    Returns
    -------
    ndarray of int, shape (places,)
        Index into :data:`KINDS`: 0 where one node or none touches it, 1 where several load and nobody
        stores, 2 where several touch it and at least one stores.
    """
    several = touched.any(axis=0).sum(axis=0) > 1
    stored = touched[OPS.index("store")].any(axis=0)
    kind: npt.NDArray[np.intp] = np.where(several, np.where(stored, 2, 1), 0)
    return kind


def touched_by(counts: xr.Dataset) -> npt.NDArray[np.bool_]:
    """Return whether a node touches a granule, by operation. A split access has only bytes in its second."""
    touched: npt.NDArray[np.bool_] = (counts["accesses"].values > 0) | (counts["bytes"].values > 0)
    return touched


def sharing(traffic: TrafficData) -> xr.Dataset:
    """Sort all granules: see :meth:`fame_lab.traffic.views.TrafficViews.sharing`."""
    require_trace(traffic, "who shares what")
    counts = traffic.counts
    touched = touched_by(counts)
    is_touched = touched.any(axis=(0, 1))
    kind = kinds(touched)[is_touched]
    belongs = kind == np.arange(len(KINDS))[:, None]  # (kind, granule)

    def total(name: str) -> npt.NDArray[Any]:
        by_op = counts[name].values.sum(axis=1)[:, is_touched]
        return np.stack([by_op[:, each].sum(axis=1) for each in belongs])

    return xr.Dataset(
        {
            "kind_of": ("granule", np.array(KINDS)[kind], {"long_name": "sharing class"}),
            "granules": ("kind", belongs.sum(axis=1).astype("u8"), {"units": "granules"}),
            "accesses": (("kind", "op"), total("accesses"), {"units": "accesses"}),
            "bytes": (("kind", "op"), total("bytes"), {"units": "B"}),
        },
        coords={"granule": counts["granule"].values[is_touched], "kind": list(KINDS), "op": list(OPS)},
        attrs={"granule": traffic.granule},
    )


def hottest(traffic: TrafficData, n: int) -> xr.Dataset:
    """Find the granules with the most accesses: see :meth:`fame_lab.traffic.views.TrafficViews.hottest`."""
    require_trace(traffic, "which granules are accessed most")
    if (most := whole(n)) is None or most < 1:
        raise SpecError(f"n is {quoted(n)}", hint="give a whole number of granules from 1")
    total = traffic.counts["accesses"].values.sum(axis=(0, 1))
    order = np.argsort(-total.astype("i8"), kind="stable")[:most]
    order = order[total[order] > 0]
    counts = traffic.counts.isel(granule=order)
    loads, stores = counts["accesses"].values
    homes = np.array(traffic.nodes)[traffic.books.homes(counts["granule"].values)]
    kind = np.array(KINDS)[kinds(touched_by(counts))]
    return xr.Dataset(
        {
            "accesses": ("granule", total[order], {"units": "accesses"}),
            "home": ("granule", homes, {"long_name": "the node at which it is at home"}),
            "sharing": ("granule", kind, {"long_name": "sharing class"}),
            "loads": (("granule", "node"), loads.T, {"units": "accesses"}),
            "stores": (("granule", "node"), stores.T, {"units": "accesses"}),
        },
        coords={"granule": counts["granule"], "node": list(traffic.nodes)},
        attrs={"granule": traffic.granule},
    )
