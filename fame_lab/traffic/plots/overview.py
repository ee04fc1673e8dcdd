"""Figures of a recording, each from its data alone and each with its source at its foot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError
from fame_lab.results.plots import NotebookFigure, legend_above, new_figure, style, style_axes
from fame_lab.traffic import aggregation
from fame_lab.traffic import sharing as shared
from fame_lab.traffic.plots.address_axis import columns
from fame_lab.traffic.plots.captions import caption, count_label
from fame_lab.traffic.plots.panels import (
    colour_bar,
    draw_heat,
    draw_matrix,
    empty_panel,
    label_nodes,
    log_norm,
)
from fame_lab.traffic.plots.time_panels import bins_panel, nodes_panel, rates_panel
from fame_lab.traffic.plots.transactions import transactions
from fame_lab.traffic.validation import OPS

if TYPE_CHECKING:
    from fame_lab.traffic.data import TrafficData

__all__ = ["heat", "matrix", "over_time", "overview", "plot", "sharing"]

_HOMES = "Colours: sum of a column. Bottom row: the node at which it is at home"
_LOCAL = "Framed: local"


def plot(traffic: TrafficData, what: str) -> NotebookFigure:
    """Draw a recording: see :meth:`fame_lab.traffic.views.TrafficViews.plot`."""
    views = {
        "overview": overview, "matrix": matrix, "heat": heat, "time": over_time, "sharing": sharing,
        "transactions": transactions,
    }  # fmt: skip
    if what not in views:
        raise SpecError(f"what is {quoted(what)}", hint=f"give {', '.join(map(repr, views))}")
    return views[what](traffic)


def overview(traffic: TrafficData) -> NotebookFigure:
    """Draw matrix and heat in one figure; of samples, the changes by place and time."""
    if traffic.source != "trace":
        figure = _begin(traffic, "what changed", caption(traffic, _HOMES), height=5.4)
        heat_axes, time_axes = figure.subplots(2, 1, height_ratios=[2, 3])
        _changed_panel(traffic, heat_axes)
        bins_panel(traffic, time_axes)
        return figure
    rows = _rows_height(traffic)
    figure = _begin(traffic, "accesses", caption(traffic, f"{_LOCAL}. {_HOMES}"), height=4.4 + 2 * rows)
    upper, lower = _halves(figure, [3.6, 1.2 + 2 * rows])
    _matrix_panels(traffic, list(upper.subplots(1, 2)))
    _heat_panels(traffic, list(lower.subplots(2, 1, sharex=True)))
    return figure


def matrix(traffic: TrafficData) -> NotebookFigure:
    """Draw initiators and homes, loads beside stores."""
    counts = aggregation.matrix(traffic, "accesses")
    figure = _begin(traffic, "who accessed whose memory", caption(traffic, _LOCAL), height=4.3)
    _matrix_panels(traffic, list(figure.subplots(1, 2)), counts.values)
    return figure


def heat(traffic: TrafficData) -> NotebookFigure:
    """Draw nodes over addresses, loads above stores; of samples, the changes."""
    if traffic.source != "trace":
        figure = _begin(traffic, "what changed", caption(traffic, _HOMES), height=2.8)
        _changed_panel(traffic, figure.subplots())
        return figure
    height = 1.4 + 2 * _rows_height(traffic)
    figure = _begin(traffic, "accesses by address", caption(traffic, _HOMES), height=height)
    _heat_panels(traffic, list(figure.subplots(2, 1, sharex=True)))
    return figure


def over_time(traffic: TrafficData) -> NotebookFigure:
    """Draw accesses over time: local and remote, by node, by address; of samples, changes by address."""
    if traffic.source != "trace":
        figure = _begin(traffic, "what changed, over time", caption(traffic), height=3.9)
        bins_panel(traffic, figure.subplots())
        return figure
    total = int(traffic.timeline["accesses"].sum())
    count = f"n = {total:,} accesses, of all nodes"
    figure = _begin(traffic, "accesses over time", caption(traffic, count=count), height=7.4)
    if not traffic.timeline["time"].size:
        empty_panel(figure.subplots(), "no look on the way: nothing is known over time")
        return figure
    rates, nodes, bins = figure.subplots(3, 1, sharex=True, height_ratios=[2, 2, 2])
    rates_panel(traffic, rates)
    nodes_panel(traffic, nodes)
    bins_panel(traffic, bins)
    for upper in (rates, nodes):
        upper.set_xlabel("")
    return figure


def sharing(traffic: TrafficData) -> NotebookFigure:
    """Draw the sharing classes: their granules, their accesses, and where they lie."""
    classes = shared.sharing(traffic)
    figure = _begin(traffic, "who shares what", caption(traffic, _HOMES), height=5.0)
    upper, lower = _halves(figure, [1.1, 1.3])
    granules, accesses = upper.subplots(1, 2, sharey=True)
    places = np.arange(len(shared.KINDS))
    _bars(granules, places, classes["granules"].values, 0.6, "granules", **style(0))
    for number, op in enumerate(OPS):
        _bars(
            accesses, places + 0.36 * (number - 0.5), classes["accesses"].values[:, number], 0.34, f"{op}s",
            **style(number), hatch="" if number == 0 else "///",
        )  # fmt: skip
    legend_above(accesses, 2)
    granules.set_yticks(places, shared.KINDS)
    granules.set_ylim(len(places) - 0.4, -0.6)
    granules.set_xlabel("granules")
    accesses.set_xlabel("accesses")
    _kinds_panel(traffic, lower.subplots(), classes)
    return figure


def _halves(figure: NotebookFigure, heights: list[float]) -> tuple[SubFigure, SubFigure]:
    halves: Any = figure.subfigures(2, 1, height_ratios=heights)
    return halves[0], halves[1]


def _begin(traffic: TrafficData, what: str, foot: str, *, height: float) -> NotebookFigure:
    plural = "" if len(traffic.nodes) == 1 else "s"
    title = f"{traffic.spec['name']}: {what}, {len(traffic.nodes)} node{plural}"
    return new_figure(title, foot, traffic.manifest, height=height)


def _rows_height(traffic: TrafficData) -> float:
    """Inches of a panel with a row for each node."""
    return float(np.clip(0.28 * len(traffic.nodes), 0.7, 2.6))


def _matrix_panels(traffic: TrafficData, panels: list[Axes], values: npt.NDArray[Any] | None = None) -> None:
    counts = aggregation.matrix(traffic, "accesses").values if values is None else values
    share = aggregation.remote_share(traffic, "accesses")["by_op"].values
    norm = log_norm(counts)
    for number, (axes, op) in enumerate(zip(panels, OPS, strict=True)):
        draw_matrix(axes, counts[number], traffic.nodes, norm, ended=traffic.ended)
        remote = "" if np.isnan(share[number]) else f", {share[number]:.1%} remote"
        axes.set_title(f"{op}s: {count_label(float(counts[number].sum()))}{remote}", fontsize=10)
    panels[1].set_ylabel("")
    if counts.any():
        colour_bar(panels[0], panels, norm, "accesses")


def _heat_panels(traffic: TrafficData, panels: list[Axes]) -> None:
    counts = traffic.counts["accesses"]
    if not counts.sizes["granule"]:
        for axes, op in zip(panels, OPS, strict=True):
            empty_panel(axes, f"no {op}s to FAM")
        return
    addresses = columns(counts["granule"].values, traffic.granule)
    values = addresses.add(counts.values)
    norm = log_norm(values)
    for number, (axes, op) in enumerate(zip(panels, OPS, strict=True)):
        draw_heat(axes, values[number], addresses, norm, traffic.books)
        label_nodes(axes, traffic.nodes, traffic.ended)
        axes.set_ylabel(f"{op}s\nby node")
    panels[0].set_xlabel("")
    colour_bar(panels[0], panels, norm, "accesses")


def _changed_panel(traffic: TrafficData, axes: Axes) -> None:
    by_node = "changed_by" in traffic.counts
    counts = traffic.counts["changed_by" if by_node else "changed"]
    if not counts.sizes["granule"]:
        empty_panel(axes, "nothing changed")
        return
    addresses = columns(counts["granule"].values, traffic.granule)
    values = addresses.add(np.atleast_2d(counts.values))
    norm = log_norm(values)
    draw_heat(axes, values, addresses, norm, traffic.books)
    if by_node:
        label_nodes(axes, traffic.nodes, traffic.ended)
        axes.set_ylabel("stored by node")
    else:
        axes.set_yticks([0], ["anyone"], fontsize=8)
    colour_bar(axes, [axes], norm, "granules changed, all looks")


def _kinds_panel(traffic: TrafficData, axes: Axes, classes: Any) -> None:
    if not classes.sizes["granule"]:
        empty_panel(axes, "nobody touched FAM")
        return
    offsets = classes["granule"].values
    belongs = classes["kind_of"].values == np.array(shared.KINDS)[:, None]
    every = traffic.counts["granule"].values
    total = traffic.counts["accesses"].values.sum(axis=(0, 1))[np.searchsorted(every, offsets)]
    addresses = columns(offsets, traffic.granule)
    values = addresses.add(np.where(belongs, np.maximum(total, 1), 0))
    norm = log_norm(values)
    draw_heat(axes, values, addresses, norm, traffic.books)
    axes.set_yticks(range(len(shared.KINDS)), shared.KINDS, fontsize=8)
    colour_bar(axes, [axes], norm, "accesses")


def _bars(axes: Axes, places: Any, values: Any, height: float, label: str, **look: Any) -> None:
    style_axes(axes)
    axes.grid(visible=False, axis="y")
    bars = axes.barh(
        places, values, height, label=label, color=look["color"], hatch=look.get("hatch"), edgecolor="white"
    )
    axes.bar_label(bars, [count_label(float(value)) for value in values], padding=3, fontsize=7)
    axes.set_xlim(0, max(1, float(max(values)) * 1.15, axes.get_xlim()[1]))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count_label(value)))
