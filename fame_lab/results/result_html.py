"""A result as HTML for a notebook, from its data alone, escaped."""

from __future__ import annotations

import itertools
import json
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from fame_lab.results.plots import caveat
from fame_lab.results.provenance import label

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["result_html"]

_MAX_ROWS = 60

_PAGE = """\
<style>.fame-result :is(td, th) {{ padding: .1em .6em; text-align: right; }}</style>
<div class="fame-result">
<strong>{probe}</strong> {recorded}<em>{caveat}</em>{failed}
{tables}
<details><summary>manifest</summary><pre>{manifest}</pre></details>
</div>"""

_FAILED = '<p role="alert"><strong>FAILED: {}</strong></p>'

_TABLE = """\
<table><caption>{caption}</caption>
<thead><tr>{head}</tr></thead>
<tbody>{body}</tbody></table>"""


def result_html(probe: str, dataset: xr.Dataset, manifest: dict[str, Any]) -> str:
    """Write a result as HTML: a table for each summary that it has, and its manifest folded away."""
    failed = str(dataset.attrs.get("failed", ""))
    tables = [_table(v) for v in dataset.data_vars.values() if "statistic" in v.dims]
    return _PAGE.format(
        probe=escape(probe),
        failed=_FAILED.format(escape(failed)) if failed else "",
        recorded=f"<strong>{escape(told)}</strong> " if (told := label(manifest)) else "",
        caveat=escape(caveat(manifest)),
        tables="\n".join(tables),
        manifest=escape(json.dumps(manifest, indent=2, default=str)),
    )


def _table(summary: xr.DataArray) -> str:
    """Write a row for each thing measured and a column for each statistic."""
    kept = [str(name) for name in summary.dims if name != "statistic"]
    values = summary.transpose(*kept, "statistic")
    labels = [[_label(label) for label in values[name].values] for name in kept]
    rows = zip(itertools.product(*labels), values.values.reshape(-1, values.sizes["statistic"]), strict=True)
    body = [
        _row(
            [f"<th>{escape(label)}</th>" for label in row] + [f"<td>{number:.4g}</td>" for number in numbers]
        )
        for row, numbers in itertools.islice(rows, _MAX_ROWS)
    ]
    heads = [*kept, *(str(name) for name in values["statistic"].values)]
    caption = f"{summary.attrs.get('long_name', summary.name)} [{summary.attrs.get('units', '')}]"
    if values[..., 0].size > _MAX_ROWS:
        caption += f", the first {_MAX_ROWS} rows of {values[..., 0].size}"
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return _TABLE.format(caption=escape(caption), head=head, body="".join(body))


def _label(value: object) -> str:
    return f"{value:,}" if isinstance(value, (int, np.integer)) else str(value)


def _row(cells: list[str]) -> str:
    return f"<tr>{''.join(cells)}</tr>"
