"""Accesses in their order: where each went, one after the other, and beside it how many went where.

Counts show where a program went, and not in which order: a walk and a random one may have the same. Only the
order tells access patterns apart.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from fame_lab.core.numeric import check_whole
from fame_lab.core.paths import given_path
from fame_lab.errors import SpecError, TrafficError
from fame_lab.results.plots import NotebookFigure, new_figure, plain_log, style, style_axes
from fame_lab.traffic.plots.address_axis import AddressAxis, columns, label_columns
from fame_lab.traffic.plots.captions import count_label
from fame_lab.traffic.trace.counter_layout import FINEST_GRANULE
from fame_lab.traffic.validation import OPS

__all__ = ["plot"]

_MAX_ORDERS = 8
_ACROSS = 2
# Marks of loads and stores: small, for there are thousands, and not told apart by colour alone.
_MARKS: tuple[dict[str, Any], ...] = (
    {"marker": ".", "markersize": 1.5},
    {"marker": "x", "markersize": 1.8, "markeredgewidth": 0.4},
)


class _AccessOrder(NamedTuple):
    """A node's accesses in their order, and the number of missing ones."""

    offsets: npt.NDArray[np.int64]
    stored: npt.NDArray[np.bool_]
    lost: int
    manifest: dict[str, Any]


def plot(orders: Mapping[str, str | os.PathLike[str]], *, node: str, first: int = 2048) -> NotebookFigure:
    """Draw one node's accesses in their order, of one recording or several beside each other.

    Parameters
    ----------
    orders : mapping of str to path
        From 1 to 8 files that :meth:`fame_lab.Lab.record` wrote with ``order=``, by the name to show.
    node : str
        The node of the accesses.
    first : int
        The number of accesses drawn one by one, from 1 to 100,000. All are in the sums at the side.

    Returns
    -------
    Figure
        Offsets in FAM upwards, in lines of 64 bytes or more. Untouched lines are left out.

    Raises
    ------
    SpecError
        If there are too few or too many files, or `first` is out of range.
    TrafficError
        If a file does not exist, or is not one of accesses.
    """
    if not 1 <= len(orders) <= _MAX_ORDERS:
        raise SpecError(f"there are {len(orders)} orders", hint=f"give from 1 to {_MAX_ORDERS}")
    first = check_whole("first", first, 1, 100_000)
    series = {name: _read(given_path(name, path), node) for name, path in orders.items()}
    places = np.unique(np.concatenate([each.offsets for each in series.values()]) & -FINEST_GRANULE)
    if not places.size:
        raise TrafficError(f"{node} accessed nothing in these: there is nothing to draw")
    addresses = columns(places, FINEST_GRANULE)
    across = min(len(series), _ACROSS)
    rows = -(-len(series) // across)
    figure = new_figure(
        f"Accesses of {node}, in their order",
        _foot(series, first),
        *(each.manifest for each in series.values()),
        height=0.9 + 2.4 * rows,
    )
    # Each order has two panels: one by one, and sums.
    panels = figure.subplots(rows, 2 * across, sharey=True, squeeze=False, width_ratios=[4, 1] * across)
    pairs = panels.reshape(-1, 2)
    most = max(int(np.bincount(_lines(addresses, each.offsets)).max(initial=1)) for each in series.values())
    for (walk, sums), (name, each) in zip(pairs, series.items(), strict=False):
        _draw_walk(walk, addresses, each, first)
        _draw_sums(sums, addresses, each, most)
        walk.set_title(f"{name}: {count_label(float(each.offsets.size))}", fontsize=10, loc="left")
    for walk, sums in pairs[len(series) :]:
        walk.set_axis_off()
        sums.set_axis_off()
    for number, (walk, _) in enumerate(pairs):
        if number % across:
            walk.set_ylabel("")
    pairs[0][0].set_ylim(-0.5, addresses.offsets.size - 0.5)
    walk = pairs[0][0]
    if any(each.stored.any() for each in series.values()):
        walk.legend(frameon=False, fontsize=8, markerscale=3, loc="lower right")
    return figure


def _read(path: Path, node: str) -> _AccessOrder:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        metadata = pyarrow.parquet.read_metadata(path).metadata or {}
        lost, manifest = json.loads(metadata[b"lost"]), json.loads(metadata.get(b"manifest", b"{}"))
        table = pyarrow.parquet.read_table(path, columns=["time", "node", "offset", "op", "continued"])
        time, offset = table["time"].to_numpy(), table["offset"].to_numpy()
        nodes, op = table["node"].to_numpy(), table["op"].to_numpy()
        # The rest of an access that began on the page before is no access of its own.
        own = (nodes == node) & ~table["continued"].to_numpy()
        order = np.argsort(time[own], kind="stable")
        stored = op[own] == OPS[1]
        return _AccessOrder(offset[own][order].astype("i8"), stored[order], int(lost[node]), dict(manifest))
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException) as error:
        raise TrafficError(f"{str(path)!r} holds no accesses of {node} in their order: {error}") from error


def _lines(addresses: AddressAxis, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Return the number of the line in the picture for each offset."""
    return np.searchsorted(addresses.offsets, offsets, side="right") - 1


def _draw_walk(axes: Axes, addresses: AddressAxis, order: _AccessOrder, first: int) -> None:
    style_axes(axes)
    lines, stored = _lines(addresses, order.offsets[:first]), order.stored[:first]
    numbers = np.arange(lines.size)
    for number, (op, which, mark) in enumerate(zip(OPS, (~stored, stored), _MARKS, strict=True)):
        axes.plot(
            numbers[which], lines[which], **mark, color=style(number)["color"], linestyle="none", label=op
        )
    axes.set_xlim(0, max(1, min(first, order.offsets.size)))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("number of the access")
    label_columns(axes, addresses, vertical=True)


def _draw_sums(axes: Axes, addresses: AddressAxis, order: _AccessOrder, most: int) -> None:
    style_axes(axes)
    counts = np.bincount(_lines(addresses, order.offsets), minlength=addresses.offsets.size)
    places = np.arange(counts.size)
    axes.fill_betweenx(
        places, np.where(counts > 0, 0.7, np.nan), counts, step="mid", color="0.45", linewidth=0
    )
    axes.set_xscale("log")
    axes.set_xlim(0.7, max(10, most) * 1.5)
    plain_log(axes.xaxis, count_label)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="y", left=False)
    axes.set_xlabel("accesses")


def _foot(series: Mapping[str, _AccessOrder], first: int) -> str:
    lost = {name: each.lost for name, each in series.items() if each.lost}
    missing = "; ".join(f"{name} lacks {count:,}" for name, count in lost.items()) or "none is missing"
    count = sum(each.offsets.size for each in series.values())
    return (
        f"traced: accesses one by one, in the node's order\nn = {count:,} accesses; {missing}\n"
        f"Left: the first {first:,}. Right: all of them by row, on one scale"
    )
