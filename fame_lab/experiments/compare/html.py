"""A comparison as HTML for a notebook, from its data alone, escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fame_lab.core.html import render
from fame_lab.experiments.compare.text import busy, summary_lines, verdict, worst

if TYPE_CHECKING:
    from fame_lab.experiments.compare.data import ComparisonData
    from fame_lab.experiments.compare.verdicts import Row

__all__ = ["comparison_html"]

_MAX_ROWS = 40

_PAGE = """\
<style>.fame-comparison :is(td, th) { padding: .1em .6em; text-align: right; }
.fame-comparison :is(td, th):first-child { text-align: left; }</style>
<div class="fame-comparison">
<strong>a: {{ comparison.a }}</strong><br><strong>b: {{ comparison.b }}</strong><br>
<em>{{ comparison.kinds | join("; ") }}</em>
{% if differs %}
{{ table("made differently", ["", "a", "b", "in"], differs, most=most) }}
{% else %}
<p>made alike, as far as the manifests tell</p>
{% endif %}
{% if only %}
<ul>
{% for which, name in only[:most] %}
<li>only in {{ which }}: {{ name }}</li>
{% endfor %}
{% if only | length > most %}
<li>{{ more(only, most) }}</li>
{% endif %}
</ul>
{% endif %}
<p>{{ verdicts | join("; ") }}</p>
{% if rows %}
{{ table("what differs", ["", "units", "a", "b", "b / a", "interval", "n", "verdict"], rows, most=most) }}
{% endif %}
<details><summary>by quantity</summary><ul>{% for sum in sums %}<li>{{ sum }}</li>{% endfor %}</ul></details>
</div>"""


def comparison_html(comparison: ComparisonData) -> str:
    """Write what differs in how they were made, then what differs in what they say."""
    return render(
        _PAGE,
        comparison=comparison,
        differs=[[each.what, *each.sides, ", ".join(each.where) or "all"] for each in comparison.differs],
        only=[(which, name) for which, names in comparison.only.items() for name in names],
        verdicts=[*busy(comparison), verdict(comparison)],
        rows=[_cells(row) for row in worst(comparison.rows)],
        sums=list(summary_lines(comparison.rows, _MAX_ROWS)),
        most=_MAX_ROWS,
    )


def _cells(row: Row) -> list[str]:
    has_ratio, has_bounds = row.ratio == row.ratio, row.low == row.low
    return [
        " ".join((row.result, row.quantity, row.place)).strip(),
        row.units,
        f"{row.a:,.6g}",
        f"{row.b:,.6g}",
        f"{row.ratio:.3g}" if has_ratio else "",
        f"{row.low:.3g} to {row.high:.3g}" if has_bounds else "",
        "exact" if row.kind == "exact" else f"{row.n_a} | {row.n_b}",
        row.verdict,
    ]
