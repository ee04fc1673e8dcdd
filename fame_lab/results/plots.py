"""The house style of every figure: what it shows, in which units, on what, and how often measured.

Figures are made without pyplot: its state belongs to the user and to one thread.
"""

from __future__ import annotations

import datetime
import textwrap
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from fame_lab.results.log_axes import TICK_POINTS, plain_log, size_axis, size_label
from fame_lab.results.notebook_figure import NotebookFigure
from fame_lab.results.provenance import label as recorded_label

__all__ = [
    "MEMORY",
    "N_STYLES",
    "NotebookFigure",
    "caveat",
    "figure",
    "legend_above",
    "legend_beside",
    "new_figure",
    "plain",
    "plain_log",
    "provenance",
    "set_font_sizes",
    "size_axis",
    "size_label",
    "style",
    "style_axes",
    "text_colour",
]

_TITLE_POINTS, _LABEL_POINTS, _FOOT_POINTS = 12.0, 9.0, 8.0
_FOOT_WIDTH, _FOOT_LINE = 116, 0.15  # characters, and inches of a line

# Okabe and Ito's colours, which colour-blind readers tell apart. Each has a marker of its own, so that no
# line rests on colour alone.
_STYLES = (
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "v"),
    ("#E69F00", "D"),
    ("#56B4E9", "P"),
    ("#000000", "X"),
)

#: The number of lines that look different.
N_STYLES = len(_STYLES)


def style(number: int) -> dict[str, Any]:
    """Return the colour and marker of the line of that number, from 0, as matplotlib's keywords.

    Examples
    --------
    >>> style(0)
    {'color': '#0072B2', 'marker': 'o'}
    """
    colour, marker = _STYLES[number % len(_STYLES)]
    return {"color": colour, "marker": marker}


#: The style of the two memories in every figure.
MEMORY = {"dram": style(0), "fam": style(1)}


def caveat(manifest: Mapping[str, Any]) -> str:
    """Return the caveat of measured numbers, which every figure of a probe bears."""
    accelerator = manifest.get("accelerator")
    kind = accelerator.get("kind") if isinstance(accelerator, Mapping) else None
    where = "on that host" if recorded_label(manifest) else "on this host"
    if felt := manifest.get("felt"):
        return f"{felt}, emulated {where}: no measurement of that fabric"
    means = f"{str(kind).upper()} {where}" if kind in ("tcg", "kvm") else where
    return f"emulated ({means}): not a fabric's latency"


def figure(
    title: str,
    manifest: Mapping[str, Any],
    note: str,
    *,
    columns: int = 1,
    rows: int = 1,
    height: float = 3.7,
    share_y: bool = True,
    failed: str = "",
) -> tuple[NotebookFigure, list[Axes]]:
    """Create a figure as wide as a notebook's cell.

    Parameters
    ----------
    title : str
        The title.
    manifest : mapping
        The result's manifest, which has the accelerator.
    note : str
        The number of measurements, and whatever else a reader needs to judge them.
    columns, rows : int
        Panels beside and above each other; the axes come row by row.
    height : float
        Inches of all but the foot; the foot's lines add to it. The width is 8.
    share_y : bool
        Whether the panels have one vertical axis.
    failed : str
        The result's failure, see :attr:`fame_lab.Result.failed`; it heads the figure.

    Returns
    -------
    NotebookFigure, list of Axes
        The panels, row by row.
    """
    figure = new_figure(title, f"{caveat(manifest)}\n{note}", manifest, height=height, failed=failed)
    panels = figure.subplots(rows, columns, sharey=share_y, squeeze=False)
    axes = [*panels.flat]
    for panel in axes:
        style_axes(panel)
    return figure, axes


def new_figure(
    title: str, foot: str, *manifests: Mapping[str, Any], height: float, failed: str = ""
) -> NotebookFigure:
    """Create a figure without panels: its size, its title, and the caption at its foot.

    Parameters
    ----------
    title, height, failed
        As of :func:`figure`.
    foot : str
        The kind and the number of the values, and their caveat, such as :func:`caveat`.
    *manifests : mapping
        The manifests of all that it shows.
    """
    head = [title]
    if failed:
        head += textwrap.wrap(f"FAILED: {failed}", 90)
    recorded = dict.fromkeys(map(recorded_label, manifests))
    lines = [*recorded, *foot.split("\n"), provenance(*manifests)]
    caption = "\n".join(textwrap.fill(line, _FOOT_WIDTH) for line in lines if line)
    height += _FOOT_LINE * (1 + caption.count("\n"))
    figure = NotebookFigure(figsize=(8, height), dpi=100, layout="constrained", facecolor="white")
    figure.suptitle(plain("\n".join(head)), fontsize=_TITLE_POINTS, color="#B00020" if failed else "black")
    figure.supxlabel(plain(caption), fontsize=_FOOT_POINTS, color="0.35")
    return figure


def provenance(*manifests: Mapping[str, Any]) -> str:
    """Return in a line the labs of a figure's numbers, and the time of their measurement.

    Examples
    --------
    >>> spec = {"name": "demo", "nodes": 2}
    >>> accelerator = {"kind": "tcg"}
    >>> provenance({"spec": spec, "accelerator": accelerator, "time": "2025-03-04T05:06:07+00:00"})
    'demo: 2 nodes, TCG; 2025-03-04 05:06 UTC'
    """
    labs = [*dict.fromkeys(lab for lab in map(_lab, manifests) if lab)]
    times = sorted({time for time in map(_time, manifests) if time})
    parts = labs if len(labs) <= 2 else [f"{len(labs)} labs"]
    if times:
        parts = [*parts, f"{' to '.join(dict.fromkeys((times[0], times[-1])))} UTC"]
    return "; ".join(parts)


def _lab(manifest: Mapping[str, Any]) -> str:
    """Return the lab in words, as far as a manifest has it: the manifest may come from anywhere."""
    spec, accelerator = (
        value if isinstance(value := manifest.get(part), Mapping) else {} for part in ("spec", "accelerator")
    )
    nodes, kind = spec.get("nodes"), accelerator.get("kind")
    if not isinstance(nodes, int):
        return ""
    name = textwrap.shorten(str(spec.get("name")), 40)
    return f"{name}: {nodes} node{'' if nodes == 1 else 's'}" + (
        f", {str(kind).upper()}" if kind in ("tcg", "kvm") else ""
    )


def _time(manifest: Mapping[str, Any]) -> str:
    try:
        moment = datetime.datetime.fromisoformat(str(manifest.get("time")))
        return f"{moment.astimezone(datetime.UTC):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError):
        return ""


def plain(text: str) -> str:
    """Escape dollar signs, which may come from anywhere, so that none begins mathematics."""
    return text.replace("$", r"\$")


def style_axes(axes: Axes) -> None:
    """Set a panel's grid, spines and font sizes."""
    axes.grid(visible=True, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    set_font_sizes(axes)


def set_font_sizes(axes: Axes) -> None:
    """Set a panel's font sizes."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_fontsize(_LABEL_POINTS)
        axis.set_tick_params(labelsize=TICK_POINTS)


def legend_above(axes: Axes, columns: int) -> None:
    """Draw a panel's legend above it, where no mark can be."""
    axes.legend(
        frameon=False, fontsize=TICK_POINTS, ncols=columns, loc="lower center", bbox_to_anchor=(0.5, 1)
    )


def legend_beside(axes: Axes, title: str = "") -> None:
    """Draw the legend that all panels of a figure share, on its right; `axes` is one of them."""
    axes.get_figure(root=True).legend(  # type: ignore[union-attr]
        *axes.get_legend_handles_labels(), frameon=False, fontsize=TICK_POINTS, loc="outside right upper",
        title=title or None, title_fontsize=TICK_POINTS,
    )  # fmt: skip


def text_colour(ground: Any) -> str:
    """Return black or white for text on a colour, whichever stands out more.

    Examples
    --------
    >>> text_colour("yellow"), text_colour("#440154")
    ('black', 'white')
    """
    # Relative luminance, as WCAG 2 has it: black and white are equally far from 0.18.
    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(ground))
    light = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "black" if light > 0.179 else "white"
