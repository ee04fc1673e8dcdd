"""The figure of a comparison: every ratio with its interval, and above it what was made differently."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fame_lab.core.sanitize import plain
from fame_lab.experiments.compare.text import busy, verdict
from fame_lab.results import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fame_lab.experiments.compare.data import ComparisonData
    from fame_lab.experiments.compare.verdicts import Row

__all__ = ["plot"]

_MAX_LINES = 40
_WIDE, _LABEL, _MAX_NAMED, _HEAD_POINTS = 100, 58, 8, 9.5
# Inches of a line: at least, at most, and more for each of its points.
_INCH, _MAX_INCHES, _A_POINT = 0.2, 0.7, 0.03
_TALLEST = 9.0
_STYLES: dict[str, dict[str, Any]] = {
    "agrees": plots.style(0),
    "too few": {"color": "0.55", "marker": "^", "markerfacecolor": "none"},
    "differs": plots.style(1),
}
_LEGEND = {"agrees": "agrees", "too few": "too few batches", "differs": "differs"}


def plot(comparison: ComparisonData) -> plots.NotebookFigure:
    """Draw b / a: a line for each point, or if these are too many, one for each quantity."""
    lines = _lines([row for row in comparison.rows if row.ratio > 0])
    top_lines = dict(list(lines.items())[:_MAX_LINES])
    heights = np.array([min(_MAX_INCHES, _INCH + _A_POINT * (len(rows) - 1)) for rows in top_lines.values()])
    heights *= min(1, _TALLEST / heights.sum()) if top_lines else 1
    heading = _made_differently(comparison)
    figure = plots.new_figure(
        "",
        "\n".join(_foot(comparison, len(lines) - len(top_lines))),
        *comparison.manifests,
        height=1.4 + heights.sum() + 0.17 * len(heading),
    )
    # Smaller than a title, as it may have many lines.
    figure.suptitle(plots.plain("\n".join(heading)), fontsize=_HEAD_POINTS)
    axes = figure.subplots()
    plots.style_axes(axes)
    _draw(axes, top_lines, heights)
    return figure


def _lines(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return a line for each row, or for each quantity of each result; the largest differences come first."""
    several = len({row.result for row in rows}) > 1

    def label(row: Row) -> str:
        name = f"{row.result} {row.quantity}" if several else row.quantity
        return f"{name} [{row.units}]" if row.units else name

    if len(rows) <= _MAX_LINES:
        return {f"{label(row)} {_place(row)}".strip(): [row] for row in rows}
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[label(row)].append(row)
    lines = {
        name if len(group) == 1 else f"{name}, {len(group)} points": group for name, group in groups.items()
    }
    if len(lines) <= _MAX_LINES:
        return lines
    return dict(sorted(lines.items(), key=lambda line: max(map(_weight, line[1])), reverse=True))


def _place(row: Row) -> str:
    """Return the labels; a number comes with its dimension."""
    return ", ".join(label if isinstance(label, str) else f"{dim}={label}" for dim, label in row.at.items())


def _weight(row: Row) -> tuple[bool, float]:
    return row.verdict == "differs", row.factor


def _draw(axes: Axes, lines: dict[str, list[Row]], heights: npt.NDArray[np.float64]) -> None:
    """Draw each line's rows, one below the other."""
    middles = np.cumsum(heights) - heights / 2
    by_verdict: dict[str, list[tuple[float, Row]]] = {verdict: [] for verdict in _STYLES}
    for rows, middle, height in zip(lines.values(), middles, heights, strict=True):
        below = (np.arange(len(rows)) + 0.5) / len(rows) - 0.5
        for row, at in zip(rows, middle + 0.8 * height * below, strict=True):
            by_verdict[row.verdict].append((at, row))
    for which, entries in by_verdict.items():
        at = [place for place, _ in entries]
        ratios = [row.ratio for _, row in entries]
        bars = [_bar(row) for _, row in entries]
        axes.errorbar(
            ratios, at, xerr=np.array(bars).reshape(-1, 2).T, linestyle="", markersize=4, elinewidth=0.8,
            label=_LEGEND[which], **_STYLES[which],
        )  # fmt: skip
    axes.axvline(1, color="0.3", linewidth=1, zorder=1)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.9), max(high, 1.1))
    plots.plain_log(axes.xaxis)
    axes.set_xlabel("b / a, of medians or of counts (1: the same)")
    axes.set_yticks(middles, [plots.plain(_short(label)) for label in lines])
    axes.set_ylim(max(heights.sum(), _INCH), 0)
    plots.legend_above(axes, len(_STYLES))


def _bar(row: Row) -> tuple[float, float]:
    return (row.ratio - row.low, row.high - row.ratio) if row.low == row.low else (0.0, 0.0)


def _made_differently(comparison: ComparisonData) -> list[str]:
    differences = [str(each) for each in comparison.differs]
    if not differences:
        return ["b against a, made alike as far as the manifests tell"]
    lines = [textwrap.shorten(each, _WIDE, placeholder=" …") for each in differences[:_MAX_NAMED]]
    more = [f"and {len(differences) - _MAX_NAMED:,} more"] if len(differences) > _MAX_NAMED else []
    return ["b against a, made differently (a | b):", *lines, *more]


def _foot(comparison: ComparisonData, left_out: int) -> list[str]:
    n = sorted({n for row in comparison.rows if row.kind == "measured" for n in (row.n_a, row.n_b)})
    sample_size = f"{len(comparison.rows):,} counts"
    if n:
        sample_size = f"{n[0]:,} to {n[-1]:,} batches a point" if len(n) > 1 else f"{n[0]:,} batches a point"
    undrawn = [row for row in comparison.rows if not row.ratio > 0]
    zeros = sum(row.a == row.b for row in undrawn)
    return [
        *comparison.kinds,
        f"a: {_short(comparison.a)}; b: {_short(comparison.b)}" if comparison.a != "a" else "",
        f"n = {sample_size}; bars: bounds of b / a that all hold together, 95 %",
        verdict(comparison),
        f"not drawn: {zeros:,} that are 0 in both, {len(undrawn) - zeros:,} that are 0 in one"
        if undrawn
        else "",
        f"{left_out:,} quantities that differ less are not drawn" if left_out else "",
        *busy(comparison),
    ]


def _short(text: str) -> str:
    """Shorten a text in its middle: both ends of a name tell something."""
    text = plain(text, keep="")
    return text if len(text) <= _LABEL else f"{text[: _LABEL // 2]}…{text[-_LABEL // 2 :]}"
