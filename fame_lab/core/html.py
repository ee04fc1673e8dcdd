"""HTML for a notebook, from jinja2 templates. They escape each value: a guest may have written it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment, Template

__all__ = ["facts_html", "render"]

#: What every template may call.
_MACROS = """\
{% macro table(caption, heads, rows, labels=1, most=none) %}
<table><caption>{{ caption }}</caption>
<thead><tr>{% for head in heads %}<th>{{ head }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows[:most] %}
<tr>
{%- for label in row[:labels] %}<th>{{ label }}</th>{% endfor %}
{%- for cell in row[labels:] %}<td>{{ cell }}</td>{% endfor %}
</tr>
{% endfor %}
{% if most is not none and rows | length > most %}
<tr><td colspan="{{ heads | length }}">{{ more(rows, most) }}</td></tr>
{% endif %}
</tbody></table>
{% endmacro %}
{% macro more(rows, most) %}and {{ "{:,}".format(rows | length - most) }} more{% endmacro %}
{% macro facts(kind, title, state, values) %}
<div class="fame-{{ kind }}"><strong>{{ title }}</strong> {{ state }}
<table><tbody>
{% for name, value in values.items() %}
<tr><th style="text-align:left">{{ name }}</th><td style="text-align:left">{{ value }}</td></tr>
{% endfor %}
</tbody></table></div>
{% endmacro %}
"""


def render(template: str, **values: object) -> str:
    """Return HTML in which each value is escaped.

    Parameters
    ----------
    template : str
        A constant of a module, for it is compiled once and kept. It may call the macros ``table``: rows of
        cells, of which the first `labels` are headers, and at most `most` rows are shown; ``more``: how many
        rows are not shown; and ``facts``: a table of names and values.
    **values
        Each that the template names: jinja2.UndefinedError is raised if one is missing.

    Examples
    --------
    >>> render("<b>{{ text }}</b>", text="<script>")
    '<b>&lt;script&gt;</b>'
    """
    return _compiled(template).render(values)


def facts_html(kind: str, title: str, state: str, facts: Mapping[str, str]) -> str:
    """Return a table of facts, with a title and a state above it."""
    call = "{{ facts(kind, title, state, values) }}"
    return render(call, kind=kind, title=title, state=state, values=facts)


@functools.cache
def _compiled(template: str) -> Template:
    return _environment().from_string(template)


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, StrictUndefined  # late, for a program that shows nothing needs none

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    macros = environment.from_string(_MACROS).module
    environment.globals |= {name: getattr(macros, name) for name in ("facts", "more", "table")}
    return environment
