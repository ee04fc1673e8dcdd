"""A sweep drawn: the probe's main quantity over the first axis, a line a value of the second."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from fame_lab.errors import ProbeError
from fame_lab.probes.common.host_contention import contention_note
from fame_lab.results import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["main_quantity", "plot"]

_PANELS = 6
_COLUMNS = 3


def main_quantity(dataset: xr.Dataset) -> str:
    """Name what a probe measures first of all: its summary, a unit, or a share of outcomes.

    Raises
    ------
    ProbeError
        If nothing in it is a number of something.
    """
    names = [str(name) for name in dataset.data_vars]
    summed = [name for name in names if f"{name}_summary" in names]
    of_units = [
        name for name in names if "units" in dataset[name].attrs and dataset[name].dtype.kind in "fiu"
    ]
    shares = [name for name in names if name == "share"]
    if not (found := [*summed, *of_units, *shares]):
        raise ProbeError(f"a sweep with {', '.join(names) or 'nothing'} has no quantity to draw")
    return found[0]


def plot(dataset: xr.Dataset, manifests: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw medians: each mark the median of the repeats' medians, each bar from the lowest to the highest.

    Nodes are taken together. What is named, such as memories, has a panel each; of what is numbered, such as
    working sets, and of further axes the last is drawn, and said. `dataset.isel(...)` chooses others.
    """
    name = main_quantity(dataset)
    first, *further = np.atleast_1d(dataset.attrs["axes"]).tolist()
    found = dataset[name].astype(float)
    second = next((axis for axis in further if found.sizes.get(axis, 1) > 1), None)
    kept = [first, "repeat", *([second] if second else [])]
    fixed, panels = [], []
    for dim in [str(dim) for dim in found.dims if dim not in kept and dim in _labelled(found)]:
        if found[dim].dtype.kind in "OUS" and found.sizes[dim] > 1:
            panels.append(dim)
            continue
        if found.sizes[dim] > 1:
            fixed.append(f"{dim} {_label(found[dim].values[-1], found[dim].attrs)}")
        found = found.isel({dim: -1})
    chosen = [*itertools.product(*(found[dim].values for dim in panels))]
    shown = chosen[:_PANELS]
    n = sum(int(np.isfinite(found.sel(dict(zip(panels, each, strict=True)))).sum()) for each in shown)
    found = _of_repeats(found)
    repeats = dataset.sizes["repeat"]
    notes = [
        f"n = {n:,} measurements in {repeats} repeat{'s' * (repeats > 1)}; marks: median of the repeats' "
        "medians, bars: lowest to highest",
        "; ".join(_said(dataset, fixed, len(shown), len(chosen))),
    ]
    columns = min(len(shown), _COLUMNS)
    rows = -(-len(shown) // columns)
    made = plots.new_figure(
        f"Sweep of {dataset.attrs['probe']}: {_title(dataset[name], name)}",
        "\n".join([_caveat(dataset, manifests), *filter(None, notes)]),
        *manifests,
        height=2.2 + 1.9 * rows,
        failed=str(dataset.attrs.get("failed", "")),
    )
    axes = [*made.subplots(rows, columns, sharey=True, squeeze=False).flat]
    for panel, values in itertools.zip_longest(axes, shown):
        if values is None:
            panel.set_visible(False)
            continue
        plots.style_axes(panel)
        _draw(panel, found.sel(dict(zip(panels, values, strict=True))), first, second)
        panel.set_title(", ".join(map(str, values)), fontsize=10)
    drawn = found.values[np.isfinite(found.values)]
    if drawn.size and 0 < 10 * drawn.min() < drawn.max():
        axes[0].set_yscale("log")  # which all share
        plots.plain_log(axes[0].yaxis)
    for panel in axes[::columns]:
        panel.set_ylabel(f"{_title(dataset[name], name)} [{dataset[name].attrs.get('units', '1')}]")
    if second:
        units = dataset[second].attrs.get("units")
        plots.legend_beside(axes[0], f"{second} [{units}]" if units else second)
    return made


def _of_repeats(found: xr.DataArray) -> xr.DataArray:
    """Return each repeat's median over batches and the like."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of points that are missing
        return found.median([dim for dim in found.dims if dim not in _labelled(found)])


def _labelled(found: xr.DataArray) -> list[Hashable]:
    """Name the dimensions whose places are to be told apart: not batches, nor nodes, which are alike."""
    return [dim for dim in found.dims if dim in found.coords and dim != "node"]


def _draw(panel: Axes, found: xr.DataArray, first: str, second: str | None) -> None:
    labels = found[first].values
    is_number = labels.dtype.kind in "iuf"
    places = labels.astype(float) if is_number else np.arange(labels.size)
    lines = [None] if second is None else found[second].values
    for number, value in enumerate(lines):
        line = found if second is None else found.sel({second: value})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            middle, low, high = (getattr(line, how)("repeat").values for how in ("median", "min", "max"))
        panel.errorbar(
            places, middle, (middle - low, high - middle), capsize=3, **plots.style(number),
            label=None if value is None else _label(value, {}),
        )  # fmt: skip
    units = found[first].attrs.get("units")
    panel.set_xlabel(f"{first} [{units}]" if units else f"{first} (number)" if is_number else first)
    if not is_number:
        panel.set_xticks(places, [str(label) for label in labels])
    elif places.min() > 0 and places.max() >= 16 * places.min():
        panel.set_xscale("log", base=2)
        panel.set_xticks(places, [_label(label, found[first].attrs) for label in labels])
        panel.minorticks_off()
    else:
        panel.set_xticks(places)


def _said(dataset: xr.Dataset, fixed: list[str], shown: int, of: int) -> list[str]:
    said = []
    if fixed:
        said.append(f"at {', '.join(fixed)}")
    if "node" in dataset.dims:
        said.append("nodes together")
    if shown < of:
        said.append(f"{shown} of {of} panels")
    if missing := int(dataset.attrs.get("missing", 0)):
        said.append(f"{missing} of {dataset['error'].size} points missing")
    waits = dataset.get("host_cpu_wait", xr.DataArray(dataset.attrs.get("host_cpu_wait", np.nan)))
    if np.isfinite(waits).any():
        said.append(f"at most: {contention_note(float(waits.max()))}")
    hosts = sorted({str(host) for host in dataset["host"].values.flat} - {""})
    if len(hosts) > 1:
        said.append(f"measured on {len(hosts)} hosts")
    return said


def _caveat(dataset: xr.Dataset, manifests: Sequence[Mapping[str, Any]]) -> str:
    kinds = sorted({str(kind) for kind in dataset["accelerator"].values.flat} - {""})
    if len(kinds) > 1:
        return f"emulated ({' and '.join(map(str.upper, kinds))}, mixed): not a fabric's latency"
    return plots.caveat(manifests[0] if manifests else {})


def _title(variable: xr.DataArray, name: str) -> str:
    return str(variable.attrs.get("long_name", name))


def _label(value: Any, attributes: Mapping[str, Any]) -> str:
    if attributes.get("units") == "B":
        return plots.size_label(float(value))
    return f"{value:,}" if isinstance(value, (int, np.integer)) else str(value)
