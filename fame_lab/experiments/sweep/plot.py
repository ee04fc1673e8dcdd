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
    """Return the name of the probe's main quantity: one with a summary, a unit, or a share of outcomes.

    Raises
    ------
    ProbeError
        If the dataset has no such quantity.
    """
    names = [str(name) for name in dataset.data_vars]
    summed = [name for name in names if f"{name}_summary" in names]
    of_units = [
        name for name in names if "units" in dataset[name].attrs and dataset[name].dtype.kind in "fiu"
    ]
    shares = [name for name in names if name == "share"]
    if not (candidates := [*summed, *of_units, *shares]):
        raise ProbeError(f"a sweep with {', '.join(names) or 'nothing'} has no quantity to draw")
    return candidates[0]


def plot(dataset: xr.Dataset, manifests: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw medians: each mark the median of the repeats' medians, each bar from the lowest to the highest.

    Nodes are taken together. Each text label, such as a memory, has a panel. Of numeric labels, such as
    working sets, and of further axes only the last is drawn, and named. `dataset.isel(...)` chooses others.
    """
    name = main_quantity(dataset)
    first, *further = np.atleast_1d(dataset.attrs["axes"]).tolist()
    data = dataset[name].astype(float)
    second = next((axis for axis in further if data.sizes.get(axis, 1) > 1), None)
    dims = [first, "repeat", *([second] if second else [])]
    fixed, panels = [], []
    for dim in [str(dim) for dim in data.dims if dim not in dims and dim in _labelled(data)]:
        if data[dim].dtype.kind in "OUS" and data.sizes[dim] > 1:
            panels.append(dim)
            continue
        if data.sizes[dim] > 1:
            fixed.append(f"{dim} {_label(data[dim].values[-1], data[dim].attrs)}")
        data = data.isel({dim: -1})
    combinations = [*itertools.product(*(data[dim].values for dim in panels))]
    panel_values = combinations[:_PANELS]
    n = sum(int(np.isfinite(data.sel(dict(zip(panels, each, strict=True)))).sum()) for each in panel_values)
    data = _of_repeats(data)
    repeats = dataset.sizes["repeat"]
    notes = [
        f"n = {n:,} measurements in {repeats} repeat{'s' * (repeats > 1)}; marks: median of the repeats' "
        "medians, bars: lowest to highest",
        "; ".join(_notes(dataset, fixed, len(panel_values), len(combinations))),
    ]
    columns = min(len(panel_values), _COLUMNS)
    rows = -(-len(panel_values) // columns)
    figure = plots.new_figure(
        f"Sweep of {dataset.attrs['probe']}: {_title(dataset[name], name)}",
        "\n".join([_caveat(dataset, manifests), *filter(None, notes)]),
        *manifests,
        height=2.2 + 1.9 * rows,
        failed=str(dataset.attrs.get("failed", "")),
    )
    axes = [*figure.subplots(rows, columns, sharey=True, squeeze=False).flat]
    for panel, values in itertools.zip_longest(axes, panel_values):
        if values is None:
            panel.set_visible(False)
            continue
        plots.style_axes(panel)
        _draw(panel, data.sel(dict(zip(panels, values, strict=True))), first, second)
        panel.set_title(", ".join(map(str, values)), fontsize=10)
    numbers = data.values[np.isfinite(data.values)]
    if numbers.size and 0 < 10 * numbers.min() < numbers.max():
        axes[0].set_yscale("log")  # all panels share it
        plots.plain_log(axes[0].yaxis)
    for panel in axes[::columns]:
        panel.set_ylabel(f"{_title(dataset[name], name)} [{dataset[name].attrs.get('units', '1')}]")
    if second:
        units = dataset[second].attrs.get("units")
        plots.legend_beside(axes[0], f"{second} [{units}]" if units else second)
    return figure


def _of_repeats(data: xr.DataArray) -> xr.DataArray:
    """Return each repeat's median over batches and other dimensions without labels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # from missing points
        return data.median([dim for dim in data.dims if dim not in _labelled(data)])


def _labelled(data: xr.DataArray) -> list[Hashable]:
    """Return the dimensions with labels, without the nodes, which are alike."""
    return [dim for dim in data.dims if dim in data.coords and dim != "node"]


def _draw(panel: Axes, data: xr.DataArray, first: str, second: str | None) -> None:
    labels = data[first].values
    is_number = labels.dtype.kind in "iuf"
    places = labels.astype(float) if is_number else np.arange(labels.size)
    lines = [None] if second is None else data[second].values
    for number, value in enumerate(lines):
        line = data if second is None else data.sel({second: value})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            middle, low, high = (getattr(line, how)("repeat").values for how in ("median", "min", "max"))
        panel.errorbar(
            places, middle, (middle - low, high - middle), capsize=3, **plots.style(number),
            label=None if value is None else _label(value, {}),
        )  # fmt: skip
    units = data[first].attrs.get("units")
    panel.set_xlabel(f"{first} [{units}]" if units else f"{first} (number)" if is_number else first)
    if not is_number:
        panel.set_xticks(places, [str(label) for label in labels])
    elif places.min() > 0 and places.max() >= 16 * places.min():
        panel.set_xscale("log", base=2)
        panel.set_xticks(places, [_label(label, data[first].attrs) for label in labels])
        panel.minorticks_off()
    else:
        panel.set_xticks(places)


def _notes(dataset: xr.Dataset, fixed: list[str], panels: int, of: int) -> list[str]:
    notes = []
    if fixed:
        notes.append(f"at {', '.join(fixed)}")
    if "node" in dataset.dims:
        notes.append("nodes together")
    if panels < of:
        notes.append(f"{panels} of {of} panels")
    if missing := int(dataset.attrs.get("missing", 0)):
        notes.append(f"{missing} of {dataset['error'].size} points missing")
    waits = dataset.get("host_cpu_wait", xr.DataArray(dataset.attrs.get("host_cpu_wait", np.nan)))
    if np.isfinite(waits).any():
        notes.append(f"at most: {contention_note(float(waits.max()))}")
    hosts = sorted({str(host) for host in dataset["host"].values.flat} - {""})
    if len(hosts) > 1:
        notes.append(f"measured on {len(hosts)} hosts")
    return notes


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
