"""The checks of transactions that were recorded: files are not trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from fame_lab.errors import SpecError, TrafficError
from fame_lab.spec.fam_layout import ControlArea
from fame_lab.traffic.transactions.cache import LINE, Cache
from fame_lab.traffic.transactions.dataset import LOSS_FIELDS, TOTALS

if TYPE_CHECKING:
    from fame_lab.spec.lab_spec import LabSpec

__all__ = ["check_caches"]

_DIMENSIONS: dict[str, tuple[str, ...]] = {
    "invalidations": ("initiator", "victim"),
    **dict.fromkeys(TOTALS, ("node",)),
    **dict.fromkeys(("loss_node", "loss_line", *LOSS_FIELDS), ("loss",)),
}


def check_caches(caches: Any, spec: LabSpec) -> None:
    """Raise TrafficError unless a recording's caches can be those of the lab."""
    if not isinstance(caches, xr.Dataset):
        raise TrafficError(f"caches is a {type(caches).__name__}", hint="it must be an xarray.Dataset")
    try:
        cache = Cache(**caches.attrs)
        cache.check_fits(spec.fam_size)
    except (SpecError, TypeError) as error:
        raise TrafficError(f"caches: its attributes are no cache's: {error}") from error
    if names := sorted({str(each) for each in caches.data_vars} ^ set(_DIMENSIONS)):
        raise TrafficError(f"caches: {names[0]} is missing, or one too many")
    for name, dimensions in _DIMENSIONS.items():
        if caches[name].dims != dimensions or caches[name].dtype.kind != "u":
            raise TrafficError(f"caches: {name} is {caches[name].dtype} over {caches[name].dims}")
    for name in ("node", "initiator", "victim"):
        if name not in caches.coords or caches[name].values.tolist() != list(spec.node_names):
            raise TrafficError(f"caches: {name} is not {', '.join(spec.node_names)}")
    lines = caches["loss_line"].values
    if (caches["loss_node"].values >= spec.nodes).any() or (lines % LINE).any():
        raise TrafficError("caches: a lost line is of no node, or no line")
    if (lines >= ControlArea(spec.fam_size).offset).any():
        raise TrafficError("caches: a lost line lies outside FAM")
    if (caches["takers"].values >> np.uint64(spec.nodes)).any():
        raise TrafficError("caches: a line was taken by a node that the lab does not have")
