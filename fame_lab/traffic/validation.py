"""The checks of a recording's data before anything is computed: files are not trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import format_size
from fame_lab.errors import SpecError, TrafficError
from fame_lab.spec.fam_layout import ControlArea
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.traffic.transactions.dataset import GROUPS, NO_COUNTS
from fame_lab.traffic.transactions.validation import check_caches

if TYPE_CHECKING:
    from fame_lab.traffic.data import TrafficData

__all__ = ["OPS", "SOURCES", "check", "check_sums"]

OPS = ("load", "store")
SOURCES = ("trace", "samples")
MIN_GRANULE = 64

_COUNTS: dict[str, dict[str, tuple[str, ...]]] = {
    "trace": {
        "accesses": ("op", "node", "granule"),
        "bytes": ("op", "node", "granule"),
        **{name: (dimension, "node", "granule") for name, (dimension, _) in GROUPS.items()},
    },
    "samples": {"changed": ("granule",), "changed_by": ("node", "granule")},
}
_TIMELINE: dict[str, dict[str, tuple[str, ...]]] = {
    "trace": {
        "accesses": ("time", "op", "node", "bin"),
        "bytes": ("time", "op", "node", "bin"),
        **{name: ("time", dimension, "node", "bin") for name, (dimension, _) in GROUPS.items()},
    },
    "samples": {"changed": ("time", "bin"), "changed_by": ("time", "node", "bin")},
}
_OPTIONAL = {"changed_by", *GROUPS}
_LABELS = {"op": OPS, **dict(GROUPS.values())}


def check(traffic: TrafficData) -> None:
    """Raise TrafficError unless a recording's parts fit together. It reads no count."""
    if traffic.source not in SOURCES:
        raise TrafficError(f"source is {quoted(traffic.source)}: a recording is by {' or '.join(SOURCES)}")
    spec = _spec(traffic.spec)
    window = _window(traffic.window, spec.fam_size)
    for name, value in (("manifest", traffic.manifest), ("ended", traffic.ended)):
        if not isinstance(value, dict):
            raise TrafficError(f"{name} is {quoted(value)}", hint="it must be a dict")
    for node, why in traffic.ended.items():
        if node not in spec.node_names or not isinstance(why, str):
            raise TrafficError(
                f"ended is {quoted(traffic.ended)}", hint="it must tell of nodes why, in words"
            )
    _variables("counts", traffic.counts, _COUNTS[traffic.source], spec)
    _granules("counts", "granule", traffic.counts, spec)
    _inside("counts", "granule", traffic.counts, spec, window)
    _variables("timeline", traffic.timeline, _TIMELINE[traffic.source], spec)
    if traffic.source == "trace":
        _granules("timeline", "bin", traffic.timeline, spec)
    _inside("timeline", "bin", traffic.timeline, spec, window)
    if traffic.caches is not None:
        check_caches(traffic.caches, spec)
    for name, dataset in (("counts", traffic.counts), ("timeline", traffic.timeline)):
        if sum(each in dataset for each in GROUPS) != (0 if traffic.caches is None else len(GROUPS)):
            raise TrafficError(f"{name} has transactions without caches, or caches without transactions")
    time = traffic.timeline["time"].values
    if time.dtype.kind != "f" or not np.isfinite(time).all() or (np.diff(time, prepend=0) <= 0).any():
        raise TrafficError("timeline: time must be seconds since the start, each later than the one before")


def check_sums(dataset: xr.Dataset) -> None:
    """Raise TrafficError if counts are so large that their sum could overflow."""
    for name, variable in dataset.data_vars.items():
        if name in NO_COUNTS:
            continue
        if variable.values.sum(dtype="f8") >= 2**63:
            raise TrafficError(f"{name} adds up to more than any recording can have counted")


def _spec(values: Any) -> LabSpec:
    try:
        return LabSpec.from_dict(values)
    except (SpecError, TypeError, RuntimeError) as error:
        raise TrafficError(f"spec is no lab's: {error}") from error


def _window(window: Any, fam_size: int) -> tuple[int, int]:
    if not isinstance(window, tuple) or len(window) != 2 or not all(type(part) is int for part in window):
        raise TrafficError(f"window is {quoted(window)}", hint="it must be an offset and a size in bytes")
    offset, size = window
    if offset < 0 or size <= 0 or offset + size > fam_size:
        raise TrafficError(
            f"window is {size} bytes at {offset:#x}: FAM has {format_size(fam_size)}, and it must lie inside"
        )
    return offset, size


def _variables(name: str, dataset: Any, schema: dict[str, tuple[str, ...]], spec: LabSpec) -> None:
    """Check variables, their dimensions, types and labels."""
    if not isinstance(dataset, xr.Dataset):
        raise TrafficError(f"{name} is a {type(dataset).__name__}", hint="it must be an xarray.Dataset")
    names = {str(variable) for variable in dataset.data_vars}
    if not set(schema) - _OPTIONAL <= names <= set(schema):
        raise TrafficError(f"{name} has {sorted(names)}", hint=f"it must have {', '.join(schema)}")
    for variable in names:
        values = dataset[variable]
        if values.dims != schema[variable] or values.dtype.kind != "u":
            raise TrafficError(
                f"{name}: {variable} is {values.dtype} over {values.dims}",
                hint=f"it must be unsigned over {schema[variable]}",
            )
    dimensions = {dimension for variable in names for dimension in schema[variable]}
    if missing := sorted(dimensions - {str(coordinate) for coordinate in dataset.coords}):
        raise TrafficError(f"{name} has no coordinate {quoted(missing[0])}")
    for dimension, labels in (*_LABELS.items(), ("node", spec.node_names)):
        if dimension in dimensions and dataset[dimension].values.tolist() != list(labels):
            raise TrafficError(f"{name}: {dimension} is not {', '.join(labels)}")


def _granules(name: str, place: str, dataset: xr.Dataset, spec: LabSpec) -> None:
    """Check that each place lies in one book, and so has one home."""
    size, book = dataset.attrs.get(place), spec.books.book
    if not isinstance(size, (int, np.integer)) or not MIN_GRANULE <= size <= book or size & (size - 1):
        raise TrafficError(
            f"{name}: its {place} is of {quoted(size)} bytes",
            hint=f"it must be a power of two from {MIN_GRANULE} to a book's {format_size(book)}",
        )
    offsets = dataset[place].values
    if offsets.dtype.kind not in "iu" or (offsets % int(size)).any():
        raise TrafficError(f"{name}: there are {place}s at offsets that are no multiple of {size}")


def _inside(name: str, place: str, dataset: xr.Dataset, spec: LabSpec, window: tuple[int, int]) -> None:
    """Check that places ascend, inside the window, and not in the control area."""
    size, offsets = dataset.attrs.get(place), dataset[place].values
    if not isinstance(size, (int, np.integer)) or size <= 0 or offsets.dtype.kind not in "iu":
        raise TrafficError(
            f"{name}: {place} is {offsets.dtype} of {quoted(size)} bytes", hint="it must be offsets in FAM"
        )
    if not offsets.size:
        return
    if (offsets[1:] <= offsets[:-1]).any():
        raise TrafficError(f"{name}: the offsets of its {place}s do not ascend")
    low, high = int(offsets[0]), int(offsets[-1])
    first, after = window[0], min(sum(window), ControlArea(spec.fam_size).offset)
    if low < 0 or low + int(size) <= first or high >= after:
        outside = high if high >= after else low
        raise TrafficError(
            f"{name}: there is a {place} at {outside:#x}: what was watched is from {first:#x} to {after:#x}"
        )
