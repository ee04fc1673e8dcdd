"""The figure of a projection, labelled as one."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fame_lab.results.plots import NotebookFigure, legend_above, new_figure, style, style_axes
from fame_lab.traffic.plots.panels import label_nodes
from fame_lab.traffic.projection import Projection

__all__ = ["plot"]

_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
_HATCHES = ("", "///", "...")


def plot(projection: Projection) -> NotebookFigure:
    """Draw the projected time of each initiator, by its parts."""
    dataset, manifest = projection.dataset, projection.manifest
    of = str(manifest.get("of", "accesses"))
    latency = dataset["latency_time"].values.sum(axis=0)
    own = latency.diagonal()
    parts = {
        f"latency of local {of}": own,
        f"latency of remote {of}": latency.sum(axis=1) - own,
        "transfer of remote bytes": dataset["transfer_time"].values.sum(axis=(0, 2)),
    }
    most = float(dataset["time"].values.max(initial=0))
    scale, unit = next(((size, name) for size, name in _UNITS if most >= size), _UNITS[-1])
    cache = f"; {projection.cache.describe()}" if projection.cache else ""
    figure = new_figure(
        f"Projected time of the {'traced' if projection.cache is None else 'modelled'} {of}",
        f"{manifest['projected']}\nn = {manifest[of]:,} {of}{cache}\n"
        f"{manifest['formula']}\n{manifest['model']['source']}",
        manifest["traffic"],
        height=3.7,
    )
    axes = figure.subplots()
    style_axes(axes)
    axes.grid(visible=False, axis="x")
    nodes = [str(node) for node in dataset["initiator"].values]
    at = np.zeros(len(nodes))
    for number, (label, values) in enumerate(parts.items()):
        axes.bar(
            range(len(nodes)), values / scale, bottom=at / scale, width=0.7, label=label,
            color=style(number)["color"], hatch=_HATCHES[number], edgecolor="white",
        )  # fmt: skip
        at += values
    label_nodes(axes, nodes, (), across=True)
    axes.set_xlim(-0.7, len(nodes) - 0.3)
    axes.set_ylim(0, most / scale * 1.05 or 1)
    axes.set_xlabel("initiator (node)")
    axes.set_ylabel(f"projected time [{unit}]")
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    legend_above(axes, 3)
    return figure
