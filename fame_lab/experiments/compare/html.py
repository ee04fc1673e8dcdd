"""A comparison as HTML for a notebook, from its data alone, escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from fame_lab.experiments.compare.text import busy, summary_lines, verdict, worst

if TYPE_CHECKING:
    from fame_lab.experiments.compare.data import ComparisonData
    from fame_lab.experiments.compare.verdicts import Row

__all__ = ["comparison_html"]

_MAX_ROWS = 40

_PAGE = """\
<style>.fame-comparison :is(td, th) {{ padding: .1em .6em; text-align: right; }}
.fame-comparison :is(td, th):first-child {{ text-align: left; }}</style>
<div class="fame-comparison">
<strong>a: {a}</strong><br><strong>b: {b}</strong><br><em>{kinds}</em>
{differs}
{only}
<p>{verdict}</p>
{worst}
<details><summary>by quantity</summary><ul>{sums}</ul></details>
</div>"""

_HEADS = ("", "units", "a", "b", "b / a", "interval", "n", "verdict")


def comparison_html(comparison: ComparisonData) -> str:
    """Write what differs in how they were made, then what differs in what they say."""
    made = [
        [escape(each.what), *map(escape, each.sides), escape(", ".join(each.where) or "all")]
        for each in comparison.differs
    ]
    only = [
        f"<li>only in {which}: {escape(name)}</li>"
        for which, names in comparison.only.items()
        for name in names
    ]
    differing = worst(comparison.rows)
    return _PAGE.format(
        a=escape(comparison.a),
        b=escape(comparison.b),
        kinds=escape("; ".join(comparison.kinds)),
        differs=_table("made differently", ("", "a", "b", "in"), made)
        if made
        else "<p>made alike, as far as the manifests tell</p>",
        only=f"<ul>{_bounded(only, '<li>{}</li>')}</ul>" if only else "",
        verdict=escape("; ".join([*busy(comparison), verdict(comparison)])),
        worst=_table("what differs", _HEADS, [_cells(row) for row in differing]) if differing else "",
        sums="".join(f"<li>{escape(each)}</li>" for each in summary_lines(comparison.rows, _MAX_ROWS)),
    )


def _cells(row: Row) -> list[str]:
    has_ratio, has_bounds = row.ratio == row.ratio, row.low == row.low
    what = " ".join((row.result, row.quantity, row.place))
    return [
        escape(what.strip()),
        escape(row.units),
        f"{row.a:,.6g}",
        f"{row.b:,.6g}",
        f"{row.ratio:.3g}" if has_ratio else "",
        f"{row.low:.3g} to {row.high:.3g}" if has_bounds else "",
        "exact" if row.kind == "exact" else f"{row.n_a} | {row.n_b}",
        row.verdict,
    ]


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table of cells that are escaped already."""
    body = [
        f"<tr><th>{first}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for first, *cells in rows
    ]
    head = "".join(f"<th>{each}</th>" for each in heads)
    more = f'<tr><td colspan="{len(heads)}">{{}}</td></tr>'
    return (
        f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{_bounded(body, more)}</tbody></table>"
    )


def _bounded(lines: Sequence[str], more: str) -> str:
    rest = more.format(f"and {len(lines) - _MAX_ROWS:,} more") if len(lines) > _MAX_ROWS else ""
    return "".join(lines[:_MAX_ROWS]) + rest
