"""The counts of all nodes, side by side: the data of a trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from fame_lab.spec.fam_layout import CONTROL_SIZE
from fame_lab.traffic.trace.counter_layout import Tallies
from fame_lab.traffic.validation import OPS

__all__ = ["dataset"]


def dataset(
    by_node: dict[str, tuple[np.ndarray[Any, Any], Tallies]], granule: int, fam_size: int
) -> xr.Dataset:
    """Put the counts of several nodes side by side, without the control area.

    Parameters
    ----------
    by_node : dict
        Granule numbers and their tallies, by the node's name.
    granule, fam_size : int
        Bytes.

    Returns
    -------
    Dataset
        As ``counts`` of :class:`fame_lab.traffic.data.TrafficData` of a trace.
    """
    control = (fam_size - CONTROL_SIZE) // granule
    numbers = np.unique(np.concatenate([np.zeros(0, np.int64), *(own for own, _ in by_node.values())]))
    numbers = numbers[numbers < control]
    values = {name: np.zeros((2, len(by_node), len(numbers)), np.uint64) for name in ("accesses", "bytes")}
    fields = {"accesses": ("loads", "stores"), "bytes": ("load_bytes", "store_bytes")}
    for at, (own, tallies) in enumerate(by_node.values()):
        users = own < control
        places = np.searchsorted(numbers, own[users])
        for name, ops in fields.items():
            for op, field in enumerate(ops):
                values[name][op, at, places] = tallies[field][users]
    dims = ("op", "node", "granule")
    return xr.Dataset(
        {
            "accesses": (dims, values["accesses"], {"long_name": "accesses as QEMU issues them"}),
            "bytes": (dims, values["bytes"], {"units": "B", "long_name": "bytes accessed"}),
        },
        coords={
            "op": list(OPS),
            "node": list(by_node),
            "granule": ("granule", numbers * granule, {"units": "B", "long_name": "offset in FAM"}),
        },
        attrs={"granule": granule},
    )
