"""Figures of transactions: what a fabric would carry, for whom, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fame_lab.results.plots import NotebookFigure, legend_above, new_figure, style, style_axes
from fame_lab.traffic.plots.captions import count_label, resolution
from fame_lab.traffic.plots.panels import colour_bar, draw_matrix, empty_panel, label_nodes, log_norm
from fame_lab.traffic.transactions.aggregation import CARRYING, by_initiator, invalidations, require_cache
from fame_lab.traffic.transactions.dataset import GROUPS

if TYPE_CHECKING:
    from fame_lab.traffic.data import TrafficData

__all__ = ["cache_caption", "transactions"]

_HATCHES = ("", "///", "...", "\\\\\\", "xxx", "++", "oo")
_LEFT_OUT = "left out: what else a cache holds, prefetching, flushes, order on the way"


def cache_caption(traffic: TrafficData) -> str:
    """Return what the numbers are, with the cache, and what the model leaves out."""
    cache, caches = require_cache(traffic)
    count = int(caches["line_accesses"].sum())
    traced = f"traced, through modelled caches: {cache.describe()}"
    return f"{traced}\nn = {count:,} accesses to lines; {_LEFT_OUT}{_felt(traffic)}"


def _felt(traffic: TrafficData) -> str:
    """Return the label of a felt fabric, how well waits were kept, and whether to trust them."""
    felt = traffic.manifest.get("felt")
    fabric = traffic.manifest.get("felt_fabric")
    _, caches = require_cache(traffic)
    asked = int(caches["wait_asked"].sum())
    if not felt or not isinstance(fabric, dict) or not asked:
        return ""
    kept = f"{felt}: waits were {int(caches['wait_done'].sum()) / asked:.3f} x those asked for"
    ran = int((caches["line_accesses"] > 0).sum()) * int(traffic.spec.get("vcpus", 1))
    cores = fabric.get("cores")
    if isinstance(cores, int) and ran > cores:
        kept += f"; NOT to be trusted: {ran} vCPUs ran programs on {cores} processors"
    return f"\n{kept}"


def transactions(traffic: TrafficData) -> NotebookFigure:
    """Draw transactions and misses by initiator, lines that move by home, and copies taken by victim."""
    kinds, causes = by_initiator(traffic, "transactions"), by_initiator(traffic, "misses")
    taken = invalidations(traffic)
    plural = "" if len(traffic.nodes) == 1 else "s"
    figure = new_figure(
        f"{traffic.spec['name']}: what a fabric would carry, {len(traffic.nodes)} node{plural}",
        f"{cache_caption(traffic)}\n{resolution(traffic)}\nFramed: local",
        traffic.manifest,
        height=7.6,
    )
    (bars, misses), (moved, victims) = figure.subplots(2, 2, height_ratios=[1.0, 1.15])
    _stacked(bars, traffic, kinds.values.sum(axis=2), GROUPS["transactions"][1], "transactions")
    _stacked(misses, traffic, causes.values.sum(axis=2), GROUPS["misses"][1], "misses")
    lines = kinds.sel(kind=list(CARRYING)).values.sum(axis=0)
    _matrix(moved, traffic, lines, "lines moved", "home (node)")
    _matrix(victims, traffic, taken.values, "copies taken", "victim (node)")
    return figure


def _matrix(axes: Axes, traffic: TrafficData, values: npt.NDArray[Any], what: str, across: str) -> None:
    axes.set_title(f"{what}: {count_label(float(values.sum()))}", fontsize=10)
    if not values.any():
        empty_panel(axes, "none")
        return
    norm = log_norm(values)
    draw_matrix(axes, values, traffic.nodes, norm, ended=traffic.ended)
    axes.set_xlabel(across)
    colour_bar(axes, [axes], norm, what.split()[0])


def _stacked(
    axes: Axes, traffic: TrafficData, values: npt.NDArray[Any], labels: tuple[str, ...], what: str
) -> None:
    """Draw a bar for each initiator, stacked by label; labels without a count are left out."""
    style_axes(axes)
    axes.grid(visible=False, axis="x")
    bottom = np.zeros(len(traffic.nodes))
    for number, (label, each) in enumerate(zip(labels, values, strict=True)):
        if each.any():
            axes.bar(
                range(len(bottom)), each, bottom=bottom, width=0.7, label=label.replace("_", " "),
                color=style(number)["color"], hatch=_HATCHES[number], edgecolor="white", linewidth=0.3,
            )  # fmt: skip
        bottom += each
    label_nodes(axes, traffic.nodes, traffic.ended, across=True)
    axes.set_xlim(-0.7, len(bottom) - 0.3)
    axes.set_ylim(0, float(bottom.max(initial=0)) * 1.05 or 1)
    axes.set_xlabel("initiator (node)")
    axes.set_ylabel(what)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: count_label(value)))
    if values.any():
        legend_above(axes, 3)
