"""Sums of a recording's transactions: by initiator and home, by victim, and of false sharing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fame_lab.errors import TrafficError
from fame_lab.traffic.aggregation import by_home
from fame_lab.traffic.transactions.dataset import GROUPS

if TYPE_CHECKING:
    import pandas as pd

    from fame_lab.traffic.data import TrafficData
    from fame_lab.traffic.transactions.cache import Cache

__all__ = ["CARRYING", "by_initiator", "false_sharing", "invalidations", "require_cache"]

#: Kinds that carry a line's 64 bytes.
CARRYING = ("fill", "fill_ownership", "forward", "write_back")


def require_cache(traffic: TrafficData) -> tuple[Cache, xr.Dataset]:
    """Return the cache and the data of all caches. Raise TrafficError if it was recorded without one."""
    if (cache := traffic.cache) is None or traffic.caches is None:
        raise TrafficError(
            "it was recorded without a cache, so no transactions were counted",
            hint='lab.record(cache=Cache("1M")), or `fame-lab trace --cache 1M`',
        )
    return cache, traffic.caches


def by_initiator(traffic: TrafficData, group: str) -> xr.DataArray:
    """Add up transactions or misses by initiator and home.

    Parameters
    ----------
    traffic : TrafficData
    group : {"transactions", "misses"}

    Returns
    -------
    DataArray of uint64, dims (kind or cause, initiator, home)
    """
    require_cache(traffic)
    dimension, labels = GROUPS[group]
    nodes = list(traffic.nodes)
    homes = traffic.books.homes(traffic.counts["granule"].values)
    return xr.DataArray(
        by_home(traffic.counts[group].values, homes, len(nodes)),
        dims=(dimension, "initiator", "home"),
        coords={dimension: list(labels), "initiator": nodes, "home": nodes},
        name=group,
        attrs={"units": group, "long_name": f"{group} by initiator and home"},
    )


def invalidations(traffic: TrafficData) -> xr.DataArray:
    """Return the copies that stores took, by victim: see :meth:`fame_lab.Traffic.invalidations`."""
    _, caches = require_cache(traffic)
    return caches["invalidations"].assign_attrs(units="invalidations")


def false_sharing(traffic: TrafficData) -> pd.DataFrame:
    """Return lines lost without a common byte: see :meth:`fame_lab.Traffic.false_sharing`."""
    import pandas as pd  # a third of a second, for those alone who ask

    _, caches = require_cache(traffic)
    lost = caches.isel(loss=caches["false_sharing"].values > 0)
    order = np.lexsort((lost["loss_line"].values, -lost["false_sharing"].values.astype("i8")))
    lost = lost.isel(loss=order)
    names = np.array(traffic.nodes, object)
    homes = traffic.books.homes(lost["loss_line"].values.astype("i8"))
    return pd.DataFrame(
        {
            "offset": lost["loss_line"].values,
            "home": names[homes],
            "victim": names[lost["loss_node"].values.astype("i8")],
            "takers": [", ".join(names[_bits(mask)]) for mask in lost["takers"].values],
            "false_sharing": lost["false_sharing"].values,
            "sharing": lost["sharing"].values,
            "victim_bytes": [_ranges(mask) for mask in lost["own_bytes"].values],
            "takers_bytes": [_ranges(mask) for mask in lost["taken_bytes"].values],
        }
    )


def _bits(mask: np.uint64) -> npt.NDArray[Any]:
    return np.flatnonzero(int(mask) >> np.arange(64, dtype=object) & 1)


def _ranges(mask: np.uint64) -> str:
    """Write which bytes of a line a mask has.

    Examples
    --------
    >>> _ranges(np.uint64(0xF0F1))
    '0, 4-7, 12-15'
    """
    bits = _bits(mask)
    runs = np.split(bits, np.flatnonzero(np.diff(bits) != 1) + 1)
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs if len(run))
