"""An address axis: so many columns that each can be seen, of what was touched and nothing else.

FAM may be 512 GiB, and ten lines of 64 bytes in it touched. A column is a granule, or the smallest power of
two of granules with which there are few enough columns. Untouched columns are left out, and the gap is
marked. A few scattered granules are then a few broad columns, and a FAM in use throughout is drawn to scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from fame_lab.results.plots import size_label
from fame_lab.spec.fam_layout import Books

__all__ = ["AddressAxis", "columns", "label_columns", "label_homes"]

_MAX_COLUMNS = 256
_MARKED_GAPS = 12
_SHADES = ("0.80", "0.93")


@dataclass(frozen=True)
class AddressAxis:
    """Columns of an address axis.

    Parameters
    ----------
    unit : int
        Bytes of each.
    offsets : ndarray of int, shape (columns,)
        Where each begins in FAM [B], ascending.
    starts : ndarray of int, shape (columns,)
        Index of the first granule in each.
    """

    unit: int
    offsets: npt.NDArray[np.int64]
    starts: npt.NDArray[np.intp]

    def add(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Add up the last axis, of granules, by column."""
        if not self.starts.size:
            return values
        return np.add.reduceat(values, self.starts, axis=-1)

    @property
    def gaps(self) -> npt.NDArray[np.intp]:
        """Indices of the columns that follow a gap."""
        return np.flatnonzero(np.diff(self.offsets) > self.unit) + 1


def columns(offsets: npt.NDArray[np.integer[Any]], granule: int, most: int = _MAX_COLUMNS) -> AddressAxis:
    """Choose columns for granules at ascending `offsets`."""
    places = offsets.astype("i8")
    unit = granule
    while np.count_nonzero(np.diff(places // unit)) >= most:
        unit *= 2
    starts = np.flatnonzero(np.diff(places // unit, prepend=-1))
    return AddressAxis(unit, places[starts] // unit * unit, starts)


def label_columns(axes: Axes, addresses: AddressAxis, *, vertical: bool = False) -> None:
    """Label the columns with their offsets, and draw a line at each gap."""
    count = addresses.offsets.size
    axis = axes.yaxis if vertical else axes.xaxis
    some = np.unique(np.linspace(0, count - 1, 6).round().astype(int)).tolist() if count else []
    axis.set_ticks(some, [f"{addresses.offsets[each]:#x}" for each in some])
    axis.set_tick_params(labelsize=7)
    gaps = addresses.gaps
    if gaps.size <= _MARKED_GAPS:
        for gap in gaps:
            line = axes.axhline if vertical else axes.axvline
            line(gap - 0.5, color="0.35", linewidth=0.7, linestyle=(0, (2, 2)))
    gap_note = f"; {gaps.size:,} untouched stretch{'' if gaps.size == 1 else 'es'} left out"
    text = f"offset in FAM, {size_label(addresses.unit)} a {'row' if vertical else 'column'}"
    axis.set_label_text(text + (gap_note if gaps.size and not vertical else ""))


def label_homes(axes: Axes, addresses: AddressAxis, books: Books, row: float, deep: float) -> None:
    """Draw homes centred on a row, `deep` rows high: a patch and a number for each run with one home."""
    if not addresses.offsets.size:
        return
    homes = books.homes(addresses.offsets)
    starts = np.flatnonzero(np.diff(homes, prepend=-1))
    ends = np.append(starts[1:], homes.size)
    centres, widths = (starts + ends - 1) / 2, ends - starts
    bottom, top = row - deep / 2, row + deep / 2
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        shade = _SHADES[number % 2]
        axes.fill_betweenx([bottom, top], start - 0.5, end - 0.5, color=shade, linewidth=0)
    look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7}
    legible = widths >= homes.size / 55  # the width of a number of two digits, in columns
    if addresses.unit > books.book and books.interleaving == "interleaved" and books.nodes > 1:
        legible[:] = False
    for centre, start in zip(centres[legible], starts[legible], strict=True):
        axes.text(centre, row, str(homes[start] + 1), **look)
    if not legible.any():
        text = f"homes: {books.interleaving}, a book is {size_label(books.book)}"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.text((homes.size - 1) / 2, row, text, **look, bbox=box)
