"""The house style of every figure: what it shows, in which units, on what, and how often measured.

Figures are made without pyplot, whose state belongs to the user and to one thread.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

__all__ = [
    "MEMORY",
    "LabFigure",
    "begin",
    "caveat",
    "dress",
    "figure",
    "plain_log",
    "size_axis",
    "size_label",
    "style",
]

# Okabe and Ito's colours, which colour-blind readers tell apart, each with a marker of its own: nothing
# rests on colour alone.
_STYLES = (
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "v"),
    ("#E69F00", "D"),
    ("#56B4E9", "P"),
    ("#000000", "X"),
)

_SUFFIXES = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


class LabFigure(Figure):
    """A figure that a notebook shows as a picture, whether or not pyplot was ever loaded."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()


def style(number: int) -> dict[str, Any]:
    """Give the colour and marker of the line of that number, from 0, as matplotlib's keywords.

    Examples
    --------
    >>> style(0)
    {'color': '#0072B2', 'marker': 'o'}
    """
    colour, marker = _STYLES[number % len(_STYLES)]
    return {"color": colour, "marker": marker}


#: What the two memories look like in every figure.
MEMORY = {"dram": style(0), "fam": style(1)}


def caveat(manifest: Mapping[str, Any]) -> str:
    """Say what a measured number is not; every figure bears it."""
    accelerator = manifest.get("accelerator")
    kind = accelerator.get("kind") if isinstance(accelerator, Mapping) else None
    means = f"{str(kind).upper()} on this host" if kind in ("tcg", "kvm") else "on this host"
    return f"emulated ({means}): not a fabric's latency"


def figure(
    title: str,
    manifest: Mapping[str, Any],
    note: str,
    *,
    columns: int = 1,
    rows: int = 1,
    height: float = 4.2,
    share_y: bool = True,
    failed: str = "",
) -> tuple[LabFigure, list[Axes]]:
    """Begin a figure as wide as a notebook's cell.

    Parameters
    ----------
    title : str
        What is shown.
    manifest : mapping
        Of the result: it tells the accelerator.
    note : str
        How often it was measured, and what else is needed to judge it.
    columns, rows : int
        Panels beside and above each other; the axes come row by row.
    height : float
        Inches; the width is 8.
    share_y : bool
        Whether the panels have one vertical axis.
    failed : str
        What the result failed at, see :attr:`fame_lab.Result.failed`; it heads the figure.

    Returns
    -------
    LabFigure, list of Axes
        The panels, row by row.
    """
    made = begin(title, f"{caveat(manifest)}\n{note}", height=height, failed=failed)
    panels = made.subplots(rows, columns, sharey=share_y, squeeze=False)
    axes = [*panels.flat]
    for panel in axes:
        dress(panel)
    return made, axes


def begin(title: str, foot: str, *, height: float, failed: str = "") -> LabFigure:
    """Begin a figure without panels: its size, its title, and at its foot what its numbers are.

    Parameters
    ----------
    title, height, failed
        As of :func:`figure`.
    foot : str
        What kind of numbers it shows and what they are not, such as :func:`caveat`; how many there are.
    """
    made = LabFigure(figsize=(8, height), dpi=100, layout="constrained")
    if failed:
        made.suptitle(f"{title}\n{textwrap.fill(f'FAILED: {failed}', 90)}", fontsize=12, color="#B00020")
    else:
        made.suptitle(title, fontsize=12)
    made.supxlabel(foot, fontsize=8, color="0.35")
    return made


def dress(axes: Axes) -> None:
    """Give a panel the house's grid and spines."""
    axes.grid(visible=True, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def plain_log(axis: Axis) -> None:
    """Label a logarithmic axis, once all is drawn on it, in plain numbers and as many as have room."""
    low, high = axis.get_view_interval()
    if high / low < 10:
        # Within a decade there may be no power of ten at all, and hardly a 2 or a 5.
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    else:
        subs = (1, 2, 5) if high / low < 300 else (1,)
        axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())


def size_axis(axes: Axes, label: str, *, every: int = 4) -> None:
    """Make the horizontal axis one of sizes in bytes, labelled at each power of `every`."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(LogLocator(base=every, numticks=12))
    axes.xaxis.set_minor_locator(LogLocator(base=4, numticks=24))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: size_label(size)))
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel(label)


def size_label(size: float) -> str:
    """Write a size for an axis.

    Examples
    --------
    >>> size_label(4096), size_label(1536 << 10), size_label(64)
    ('4 KiB', '1.5 MiB', '64 B')
    """
    for unit, suffix in _SUFFIXES:
        if size >= unit:
            return f"{size / unit:g} {suffix}"
    return f"{size:g} B"
