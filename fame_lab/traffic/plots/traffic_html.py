"""A recording as HTML for a notebook, from its data alone, escaped."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

from fame_lab.core.sizes import format_size
from fame_lab.results.provenance import label
from fame_lab.traffic.aggregation import matrix
from fame_lab.traffic.plots.captions import resolution, source_caveat
from fame_lab.traffic.sharing import KINDS, sharing

if TYPE_CHECKING:
    from fame_lab.traffic.data import TrafficData

__all__ = ["traffic_html"]

_PAGE = """\
<div class="fame-traffic">
<strong>traffic of {name}</strong> {recorded}<em>{caveat}</em>
<p>{resolution}</p>
{body}
<details><summary>manifest</summary><pre>{manifest}</pre></details>
</div>"""

_TABLE = """\
<table><caption>{caption}</caption>
<thead><tr>{head}</tr></thead>
<tbody>{body}</tbody></table>"""


def traffic_html(traffic: TrafficData) -> str:
    """Write a recording as HTML: who accessed how much at home and elsewhere, and how it was shared."""
    body = [_initiators(traffic), _sharing(traffic)] if traffic.source == "trace" else [_changed(traffic)]
    return _PAGE.format(
        name=escape(str(traffic.spec["name"])),
        recorded=f"<strong>{escape(told)}</strong> " if (told := label(traffic.manifest)) else "",
        caveat=escape(source_caveat(traffic)),
        resolution=escape(resolution(traffic)).replace("\n", "<br>"),
        body="\n".join(body),
        manifest=escape(json.dumps(traffic.manifest, indent=2, default=str)),
    )


def _initiators(traffic: TrafficData) -> str:
    columns = []
    for counted in (matrix(traffic, "accesses"), matrix(traffic, "bytes")):
        of_all, local = counted.values.sum(axis=2), counted.values.diagonal(axis1=1, axis2=2)
        for op in range(2):
            columns += [local[op], of_all[op] - local[op]]
    whose = [f"{what} {where}" for what in ("loads", "stores") for where in ("local", "remote")]
    heads = ["initiator", *whose, *(f"{each} [B]" for each in whose)]
    rows = [
        [node, *(f"{int(column[number]):,}" for column in columns)]
        for number, node in enumerate(traffic.nodes)
    ]
    return _table("accesses to FAM, and their bytes", heads, rows)


def _sharing(traffic: TrafficData) -> str:
    shared = sharing(traffic)
    rows = [
        [kind, *(f"{int(number):,}" for number in (granules, *accesses))]
        for kind, granules, accesses in zip(
            KINDS, shared["granules"].values, shared["accesses"].values, strict=True
        )
    ]
    caption = f"granules of {format_size(traffic.granule)}, by who touches them"
    return _table(caption, ["class", "granules", "loads", "stores"], rows)


def _changed(traffic: TrafficData) -> str:
    heads, numbers = ["node", "granules that changed"], [("anyone", traffic.counts["changed"].values)]
    if "changed_by" in traffic.counts:
        numbers += zip(traffic.nodes, traffic.counts["changed_by"].values, strict=True)
    rows = [[name, f"{int((values > 0).sum()):,}"] for name, values in numbers]
    return _table(f"granules of {format_size(traffic.granule)} that changed", heads, rows)


def _table(caption: str, heads: list[str], rows: list[list[str]]) -> str:
    body = "".join(
        f"<tr><th>{escape(row[0])}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>"
        for row in rows
    )
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    return _TABLE.format(caption=escape(caption), head=head, body=body)
