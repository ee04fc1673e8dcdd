"""Panels of traffic figures: each draws plain arrays on axes that it is given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator

from fame_lab.results.plots import plain_log, set_font_sizes, text_colour
from fame_lab.traffic.plots.address_axis import AddressAxis, label_columns, label_homes
from fame_lab.traffic.plots.captions import ENDED, count_label

__all__ = ["colour_bar", "draw_heat", "draw_matrix", "empty_panel", "label_nodes", "log_norm", "mesh"]

# Light is little and dark is much, in an order that survives a grey print; zero stays white.
_COLOURS = "viridis_r"
_ANNOTATED = 10


def log_norm(*arrays: npt.NDArray[Any]) -> Normalize:
    """Return a logarithmic scale of colours, the same for all arrays."""
    values = np.concatenate([np.asarray(each, "f8").ravel() for each in arrays])
    values = values[values > 0]
    if not values.size:
        return LogNorm(0.1, 1)
    high = float(values.max())
    return LogNorm(min(float(values.min()), high / 10), high)  # a decade at least: like values look alike


def _show(axes: Axes, values: npt.NDArray[Any], norm: Normalize, *, square: bool = False) -> AxesImage:
    """Draw a value as a colour; a zero stays white."""
    plain = np.ma.masked_less_equal(np.asarray(values, "f8"), 0)
    image = axes.imshow(
        plain, cmap=_COLOURS, norm=norm, aspect="equal" if square else "auto", interpolation="nearest"
    )
    axes.grid(visible=False)
    set_font_sizes(axes)
    return image


def mesh(axes: Axes, edges: npt.NDArray[Any], values: npt.NDArray[Any], norm: Normalize) -> None:
    """Draw rows of values over intervals between edges; a zero stays white."""
    plain = np.ma.masked_less_equal(np.asarray(values, "f8"), 0)
    rows = np.arange(len(values) + 1) - 0.5
    axes.pcolormesh(edges, rows, plain, cmap=_COLOURS, norm=norm)
    axes.set_ylim(rows[-1], rows[0])
    axes.set_xlim(edges[0], edges[-1])
    set_font_sizes(axes)
    axes.spines[["top", "right"]].set_visible(False)


def colour_bar(axes: Axes, beside: Sequence[Axes], norm: Normalize, label: str) -> None:
    """Draw the bar that explains the colours, beside panels that share them."""
    bar = axes.figure.colorbar(
        ScalarMappable(norm, _COLOURS), ax=list(beside), fraction=0.04, pad=0.01, aspect=18
    )
    set_font_sizes(bar.ax)
    # No count lies below one.
    plain_log(bar.ax.yaxis, lambda value: count_label(value) if value >= 1 else "")
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.set_label(label)


def label_nodes(axes: Axes, nodes: Sequence[str], ended: Collection[str], *, across: bool = False) -> None:
    """Write the nodes' numbers along an axis, as many as have room."""
    count = len(nodes)
    step = 1 if count <= 16 else 5
    indices = [each for each in range(count) if step == 1 or each == 0 or (each + 1) % step == 0]
    indices += [each for each in range(count) if nodes[each] in ended and each not in indices]
    labels = [f"{each + 1}{ENDED if nodes[each] in ended and not across else ''}" for each in indices]
    axis = axes.xaxis if across else axes.yaxis
    axis.set_ticks(indices, labels)
    axis.set_tick_params(labelsize=8 if count <= 16 else 7)


def draw_matrix(
    axes: Axes,
    values: npt.NDArray[Any],
    nodes: Sequence[str],
    norm: Normalize,
    *,
    ended: Collection[str] = (),
) -> None:
    """Draw initiators and homes: colours, numbers while they can be read, local cells framed."""
    count = len(nodes)
    _show(axes, values, norm, square=True)
    label_nodes(axes, nodes, ended)
    label_nodes(axes, nodes, ended, across=True)
    axes.set_xlabel("home (node)")
    axes.set_ylabel("initiator (node)")
    axes.spines[["top", "right"]].set_visible(True)
    for node in range(count):
        axes.add_patch(
            Rectangle(
                (node - 0.46, node - 0.46), 0.92, 0.92, fill=False, edgecolor="#D55E00",
                linewidth=1.4 if count <= _ANNOTATED else 0.7,
            )
        )  # fmt: skip
    if count > _ANNOTATED:
        return
    for (row, column), value in np.ndenumerate(values):
        if value:
            axes.text(
                column, row, count_label(float(value), digits=3 if count <= 5 else 2), ha="center",
                va="center", fontsize=8 if count <= 5 else 6, color=_ink(norm, float(value)),
            )  # fmt: skip


def draw_heat(
    axes: Axes,
    values: npt.NDArray[Any],
    addresses: AddressAxis,
    norm: Normalize,
    books: Any,
) -> None:
    """Draw rows over columns of addresses, and under them the homes."""
    rows = len(values)
    _show(axes, values, norm)
    deep = max(0.6, rows / 9)
    label_homes(axes, addresses, books, rows - 0.5 + deep / 2, deep)
    axes.set_ylim(rows - 0.5 + deep, -0.5)
    axes.set_xlim(-0.5, max(addresses.offsets.size, 1) - 0.5)
    axes.axhline(rows - 0.5, color="0.3", linewidth=0.8)
    label_columns(axes, addresses)
    if rows <= 16:
        for row in range(1, rows):
            axes.axhline(row - 0.5, color="0.85", linewidth=0.6)


def empty_panel(axes: Axes, text: str) -> None:
    """Write on a panel that there is nothing to draw."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color="0.35", fontsize=9)


def _ink(norm: Normalize, value: float) -> str:
    return text_colour(colormaps[_COLOURS](norm(value)))
