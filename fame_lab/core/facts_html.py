"""A table of names and values, for a notebook: escaped, in the page's own colours."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

__all__ = ["facts_html"]

_FACTS = """\
<div class="fame-{kind}"><strong>{title}</strong> {state}
<table><tbody>{rows}</tbody></table></div>"""


def facts_html(kind: str, title: str, state: str, facts: Mapping[str, str]) -> str:
    """Return a table of facts, with a title and a state above it."""
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in facts.items()
    )
    return _FACTS.format(kind=kind, title=escape(title), state=escape(state), rows=rows)
