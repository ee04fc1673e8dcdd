"""A result as HTML for a notebook, from its data alone, escaped."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from fame_lab.results.measurement_html import Table, measurement_html
from fame_lab.results.plots import caveat
from fame_lab.results.provenance import label

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["result_html"]

_MAX_ROWS = 60

_STYLE = "<style>.fame-result :is(td, th) { padding: .1em .6em; text-align: right; }</style>\n"


def result_html(probe: str, dataset: xr.Dataset, manifest: dict[str, Any]) -> str:
    """Write a result as HTML: a table for each summary that it has, and its manifest folded away."""
    tables = [_table(values) for values in dataset.data_vars.values() if "statistic" in values.dims]
    failed = str(dataset.attrs.get("failed", ""))
    provenance = {"caveat": caveat(manifest), "label": label(manifest), "failed": failed}
    return _STYLE + measurement_html("result", probe, tables, manifest, **provenance)


def _table(summary: xr.DataArray) -> Table:
    """Return a row for each thing measured and a column for each statistic."""
    kept = [str(name) for name in summary.dims if name != "statistic"]
    values = summary.transpose(*kept, "statistic")
    labels = [[_label(label) for label in values[name].values] for name in kept]
    rows = zip(itertools.product(*labels), values.values.reshape(-1, values.sizes["statistic"]), strict=True)
    body = [
        [*row, *(f"{number:.4g}" for number in numbers)] for row, numbers in itertools.islice(rows, _MAX_ROWS)
    ]
    heads = [*kept, *(str(name) for name in values["statistic"].values)]
    caption = f"{summary.attrs.get('long_name', summary.name)} [{summary.attrs.get('units', '')}]"
    if values[..., 0].size > _MAX_ROWS:
        caption += f", the first {_MAX_ROWS} rows of {values[..., 0].size}"
    return Table(caption, heads, body, len(kept))


def _label(value: object) -> str:
    return f"{value:,}" if isinstance(value, (int, np.integer)) else str(value)
