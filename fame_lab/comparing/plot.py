"""The figure of a comparison: every ratio with its interval, and above it what was made differently."""

from __future__ import annotations

import math
import textwrap
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fame_lab import plots
from fame_lab.comparing.words import verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fame_lab.comparing.comparison import Comparison
    from fame_lab.comparing.rows import Row

__all__ = ["plot"]

_MOST_LINES = 40
_WIDE, _LABEL, _MOST_NAMED = 92, 58, 8
_STYLES: dict[str, dict[str, Any]] = {
    "agrees": plots.style(0),
    "too few": {"color": "0.55", "marker": "^", "markerfacecolor": "none"},
    "differs": plots.style(1),
}

_Line = tuple[str, list["Row"]]


def plot(comparison: Comparison) -> plots.LabFigure:
    """Draw b / a: a line for each point, or where that is too many, one for each quantity."""
    drawn = [row for row in comparison.rows if 0 < row.ratio < math.inf]
    lines = _lines(drawn)
    kept = lines[:_MOST_LINES]
    made = plots.begin(
        "\n".join(["How b differs from a", *_made_differently(comparison)]),
        "\n".join(_foot(comparison, drawn, len(lines) - len(kept))),
        *comparison.manifests,
        height=2.2 + 0.2 * len(kept),
    )
    axes = made.subplots()
    plots.dress(axes)
    _draw(axes, kept)
    return made


def _lines(rows: Sequence[Row]) -> list[_Line]:
    """Give each row its line; or each quantity of each result, those first that differ most."""
    several = len({row.result for row in rows}) > 1

    def label(row: Row, place: str) -> str:
        name = f"{row.result} {row.quantity}" if several else row.quantity
        return f"{name} {place}".strip()

    if len(rows) <= _MOST_LINES:
        return [(label(row, row.place), [row]) for row in rows]
    held: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        held[label(row, "")].append(row)
    found = [
        (f"{name} ({len(of_it)} points)" if len(of_it) > 1 else name, of_it) for name, of_it in held.items()
    ]
    if len(found) <= _MOST_LINES:
        return found
    return sorted(found, key=lambda line: -max(_weight(row) for row in line[1]))


def _weight(row: Row) -> float:
    return math.log(row.factor) + (1e3 if row.verdict == "differs" else 0)


def _draw(axes: Axes, lines: Sequence[_Line]) -> None:
    for which, look in _STYLES.items():
        at, ratios, below, above = [], [], [], []
        for number, (_, rows) in enumerate(lines):
            for k, row in enumerate(rows):
                if row.verdict == which:
                    at.append(number + (0.6 * k / (len(rows) - 1) - 0.3 if len(rows) > 1 else 0))
                    ratios.append(row.ratio)
                    bounded = row.low == row.low
                    below.append(row.ratio - row.low if bounded else 0)
                    above.append(row.high - row.ratio if bounded else 0)
        if ratios:
            axes.errorbar(
                ratios, at, xerr=[below, above], linestyle="", markersize=4, elinewidth=0.8,
                label=_LEGEND[which], **look,
            )  # fmt: skip
    axes.axvline(1, color="0.3", linewidth=1, zorder=1)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.9), max(high, 1.1))
    plots.plain_log(axes.xaxis)
    axes.set_xlabel("b / a, of medians or of counts (1: the same)")
    axes.set_yticks(range(len(lines)), [_short(label) for label, _ in lines])
    axes.set_ylim(len(lines) - 0.4, -0.6)
    if lines:
        plots.legend_above(axes, len(_STYLES))


_LEGEND = {
    "agrees": "agrees",
    "too few": "too few batches to tell",
    "differs": "differs by more than the spread",
}


def _made_differently(comparison: Comparison) -> list[str]:
    named = [str(each) for each in comparison.differs]
    told = [textwrap.shorten(each, _WIDE, placeholder=" …") for each in named[:_MOST_NAMED]]
    more = [f"and {len(named) - _MOST_NAMED:,} more"] if len(named) > _MOST_NAMED else []
    return (
        ["made differently (a | b):", *told, *more] if named else ["made alike, as far as the manifests tell"]
    )


def _foot(comparison: Comparison, drawn: Sequence[Row], left_out: int) -> list[str]:
    n = sorted({n for row in comparison.rows if row.kind == "measured" for n in (row.n_a, row.n_b)})
    batches = (
        f"n = {n[0]} to {n[-1]} batches a point" if len(n) > 1 else f"n = {n[0]} a point" if n else "counts"
    )
    undrawn = len(comparison.rows) - len(drawn)
    return [
        *dict.fromkeys(plots.caveat(manifest) for manifest in comparison.manifests),
        f"a: {_short(comparison.a)}; b: {_short(comparison.b)}",
        f"{verdict(comparison)}; {batches}; bars: bounds of the ratio that all hold together, 95 %",
        f"{undrawn:,} rows have no ratio and are not drawn" if undrawn else "",
        f"{left_out:,} quantities that differ less are not drawn" if left_out else "",
    ]


def _short(text: str) -> str:
    """Cut in the middle: both ends of a name tell something."""
    return text if len(text) <= _LABEL else f"{text[: _LABEL // 2]}…{text[-_LABEL // 2 :]}"
