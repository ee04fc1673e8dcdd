"""Parts of the HTML that results, recordings and projections share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fame_lab.core.html import render

__all__ = ["Table", "measurement_html"]

_PAGE = """\
<div class="fame-{{ kind }}">
<strong>{{ title }}</strong> {% if label %}<strong>{{ label }}</strong> {% endif %}<em>{{ caveat }}</em>
{% if failed %}<p role="alert"><strong>FAILED: {{ failed }}</strong></p>{% endif %}
{% if notes %}
<p>{% for note in notes %}{{ note }}{% if not loop.last %}<br>{% endif %}{% endfor %}</p>
{% endif %}
{% for each in tables %}
{{ table(*each) }}
{% endfor %}
<details><summary>manifest</summary><pre>{{ manifest }}</pre></details>
</div>"""


class Table(NamedTuple):
    """A table, of whose rows the first `labels` cells are headers."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: int = 1


def measurement_html(
    kind: str, title: str, tables: Sequence[Table], manifest: Mapping[str, Any],
    *, caveat: str, label: str, failed: str = "", notes: Sequence[str] = (),
) -> str:  # fmt: skip
    """Write where numbers come from, their tables, and the manifest folded away.

    The caveat says what the numbers are not; the label, where they were recorded; failed, what must not
    happen and did.
    """
    return render(
        _PAGE, kind=kind, title=title, tables=tables, manifest=json.dumps(manifest, indent=2, default=str),
        caveat=caveat, label=label, failed=failed, notes=notes,
    )  # fmt: skip
