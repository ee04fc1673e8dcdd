"""Plots of workloads: who accessed what at which home, and how fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle
from matplotlib.ticker import EngFormatter, NullFormatter

from fame_lab.core.sizes import format_size
from fame_lab.probes.common.host_contention import OVERSUBSCRIBED, contention_note
from fame_lab.results import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fame_lab.results.result import Result

__all__ = ["plot"]

_COLOURS = "viridis_r"  # light is little: what traffic figures have
_MAX_INCHES = 14.0

#: Rows and columns up to which each cell has room for its number.
_READABLE = (60, 8)


def plot(result: Result) -> Figure:
    """Draw a row a workload and node: its accesses to each home, and beside them its rate."""
    dataset = result.dataset
    rows = [(str(w), str(n)) for w in dataset["workload"].values for n in dataset["node"].values]
    height = 1.7 + len(rows) * (0.3 if len(rows) <= 20 else 0.21)
    workloads = dataset.sizes["workload"]
    which = rows[0][0] if workloads == 1 else f"{workloads} workloads"
    figure, (matrix, rates) = plots.figure(
        f"{which} on {_quantity(dataset.sizes['node'], 'node')}, placement: {dataset.attrs['placement']}",
        result.manifest,
        _note(dataset),
        columns=2,
        height=min(max(height, 3.7), _MAX_INCHES),
        failed=result.failed,
    )
    _draw_matrix(matrix, dataset, rows)
    _draw_rates(rates, dataset, rows)
    nodes = dataset.sizes["node"]
    for axes in (matrix, rates):
        for edge in range(nodes, len(rows), nodes):
            axes.axhline(edge - 0.5, color="0.5", linewidth=0.8)
    matrix.set_ylim(len(rows) - 0.5, -0.5)
    if len(rows) <= _READABLE[0]:
        labels = [
            f"{workload}   {node}" if i % nodes == 0 else node for i, (workload, node) in enumerate(rows)
        ]
        matrix.set_yticks(range(len(rows)), labels, fontsize=8)
    else:
        centres = np.arange(workloads) * nodes + (nodes - 1) / 2
        matrix.set_yticks(centres, [str(name) for name in dataset["workload"].values], fontsize=8)
    return figure


def _draw_matrix(axes: Axes, dataset: xr.Dataset, rows: list[tuple[str, str]]) -> None:
    """Colour and number a cell for each row and home."""
    homes = [str(name) for name in dataset["home"].values]
    counts = (dataset["loads"] + dataset["stores"]).transpose("workload", "initiator", "home").values
    cells = counts.reshape(len(rows), len(homes))
    most = float(cells.max())
    # Two decades at the least, lest counts that hardly differ look as if they did.
    norm = LogNorm(min(float(cells[cells > 0].min()), most / 100), most)
    picture = axes.imshow(
        np.ma.masked_equal(cells, 0), cmap=_COLOURS, norm=norm, aspect="auto", interpolation="none"
    )
    formatter = EngFormatter(places=2, sep="")
    readable = len(rows) <= _READABLE[0] and len(homes) <= _READABLE[1]
    for (row, column), count in np.ndenumerate(cells):
        if readable:
            text = formatter(count) if count > 999 else str(count)
            colour = plots.text_colour(picture.to_rgba(count)) if count else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
        if rows[row][1] == homes[column]:
            axes.add_patch(
                Rectangle((column - 0.47, row - 0.44), 0.94, 0.88, fill=False, edgecolor="#D55E00")
            )
    axes.grid(visible=False)
    step = -(-len(homes) // 10)
    axes.set_xticks(
        range(0, len(homes), step), homes[::step], fontsize=8, rotation=0 if len(homes) <= 4 else 45
    )
    axes.set_xlabel("home of the data (outlined: the node's own)")
    axes.set_title("accesses: loads + stores", fontsize=10)
    if not readable:
        bar = axes.figure.colorbar(picture, ax=axes, location="left", shrink=0.5, aspect=40, label="accesses")
        plots.set_font_sizes(bar.ax)
        plots.plain_log(bar.ax.yaxis, EngFormatter(sep=""))


def _draw_rates(axes: Axes, dataset: xr.Dataset, rows: list[tuple[str, str]]) -> None:
    """Draw each row's median, its interval and the range from min to p90."""
    rates = dataset["rate_summary"].stack(row=("workload", "node"))
    statistic = {str(name): rates.sel(statistic=name).values for name in rates["statistic"].values}
    lines = np.arange(len(rows))
    colour = plots.style(0)["color"]
    axes.hlines(lines, statistic["min"], statistic["p90"], color=colour, alpha=0.3, linewidth=6)
    axes.hlines(lines, statistic["p50_low"], statistic["p50_high"], color=colour, linewidth=3)
    axes.plot(statistic["p50"], lines, **plots.style(0), markersize=4, linestyle="none")
    axes.set_xscale("log")
    low, high = np.log10(statistic["min"].min()), np.log10(statistic["p90"].max())
    axes.set_xlim(10 ** np.floor(low), 10 ** np.ceil(high))  # whole decades: a label at both ends
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("rate [operations/s]")
    axes.set_title("rate", fontsize=10)
    axes.tick_params(axis="y", left=False)
    if len(rows) <= _READABLE[0]:
        moved = dataset["bandwidth_summary"].sel(statistic="p50").stack(row=("workload", "node")).values
        axes.set_title("rate, and in numbers GB/s", fontsize=10)
        for row, value in enumerate(moved):
            axes.text(
                1.0, row, f" {value:.3g}", transform=axes.get_yaxis_transform(), va="center", fontsize=7
            )


def _note(dataset: xr.Dataset) -> str:
    """Return how often it was measured, what the marks mean, and what came of the checks."""
    preempted = dataset["preempted"]
    count = f"{int(preempted.sum())} of {preempted.size} preempted in the guest"
    lines = [
        f"n = {dataset.sizes['batch']} batches a workload and node ({count})",
        "marker: median, bar: its 95 % interval, band: min to p90; GB/s: 8 bytes an access",
        f"accesses: all, warm-up too; {format_size(int(dataset.attrs['size']))} of data; "
        f"{dataset.attrs['books']}; FAM mapped {dataset.attrs['mapping']}",
        contention_note(dataset.attrs["host_cpu_wait"]),
    ]
    if "gups" in dataset["workload"].values:
        gups = dataset.sel(workload="gups")
        races = " (updates of several nodes are not atomic: HPCC tolerates 1 %)"
        lines.append(
            f"gups: {int(gups['errors']):,} of {int(gups['checked']):,} words wrong"
            + races * (dataset.sizes["node"] > 1)
        )
    if bool(dataset["oversubscribed"]):
        lines.append(OVERSUBSCRIBED)
    return "\n".join(lines)


def _quantity(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
