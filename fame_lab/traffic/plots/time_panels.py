"""Panels of a recording over time: rates, and what was added in each interval by node and by address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fame_lab.results.plots import legend_above, style, style_axes
from fame_lab.traffic import aggregation
from fame_lab.traffic.plots.address_axis import columns, label_columns
from fame_lab.traffic.plots.captions import count_label
from fame_lab.traffic.plots.panels import colour_bar, empty_panel, label_nodes, log_norm, mesh
from fame_lab.traffic.validation import OPS

if TYPE_CHECKING:
    import numpy.typing as npt

    from fame_lab.traffic.data import TrafficData

__all__ = ["bins_panel", "nodes_panel", "rates_panel"]

_MAX_BINS = 96
# Lines of loads, local and remote, and of stores: told apart in grey, too.
_LINES: Any = (("-", (0, (4, 2))), ((0, (1, 1)), (0, (4, 1, 1, 1))))


def rates_panel(traffic: TrafficData, axes: Axes) -> None:
    """Draw accesses a second, local and remote, loads and stores."""
    edges = _edges(traffic)
    style_axes(axes)
    homes = traffic.books.homes(traffic.timeline["bin"].values)
    counts = aggregation.by_home(traffic.timeline["accesses"].values, homes, len(traffic.nodes))
    local = counts.diagonal(axis1=2, axis2=3).sum(axis=2)
    parts = {"local": local, "remote": counts.sum(axis=(2, 3)) - local}
    for number, op in enumerate(OPS):
        for line, (where, values) in zip(_LINES[number], parts.items(), strict=True):
            rate = values[:, number] / np.diff(edges)
            look = {"color": style(number)["color"], "linestyle": line, "linewidth": 1.6}
            axes.stairs(rate, edges, baseline=None, label=f"{where} {op}s", **look)
    axes.set_ylim(bottom=0)
    axes.margins(y=0.1)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: count_label(value)))
    axes.set_ylabel("rate [accesses/s]")
    legend_above(axes, 4)


def nodes_panel(traffic: TrafficData, axes: Axes) -> None:
    """Draw the accesses of each node in each interval."""
    edges = _edges(traffic)
    values = traffic.timeline["accesses"].values.sum(axis=(1, 3)).T
    norm = log_norm(values)
    mesh(axes, edges, values, norm)
    label_nodes(axes, traffic.nodes, traffic.ended)
    axes.set_ylabel("initiator (node)")
    colour_bar(axes, [axes], norm, "accesses in an interval")


def bins_panel(traffic: TrafficData, axes: Axes) -> None:
    """Draw the accesses, or the changes, in each interval by address."""
    edges = _edges(traffic)
    timeline = traffic.timeline
    if edges.size < 2 or not timeline.sizes["bin"]:
        empty_panel(axes, "nothing changed, or there was no look on the way")
        return
    if traffic.source == "trace":
        values, label = timeline["accesses"].values.sum(axis=(1, 2)), "accesses in an interval"
    else:
        values, label = timeline["changed"].values, "granules changed in an interval"
    addresses = columns(timeline["bin"].values, int(timeline.attrs["bin"]), _MAX_BINS)
    values = addresses.add(values).T
    norm = log_norm(values)
    mesh(axes, edges, values, norm)
    label_columns(axes, addresses, vertical=True)
    axes.set_xlabel("time since the start [s]")
    colour_bar(axes, [axes], norm, label)


def _edges(traffic: TrafficData) -> npt.NDArray[np.float64]:
    return np.concatenate([[0.0], traffic.timeline["time"].values])
