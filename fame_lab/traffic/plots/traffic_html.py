"""A recording as HTML for a notebook, from its data alone, escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fame_lab.core.sizes import format_size
from fame_lab.results.measurement_html import Table, measurement_html
from fame_lab.results.provenance import label
from fame_lab.traffic.aggregation import matrix
from fame_lab.traffic.plots.captions import resolution, source_caveat
from fame_lab.traffic.sharing import KINDS, sharing

if TYPE_CHECKING:
    from fame_lab.traffic.data import TrafficData

__all__ = ["traffic_html"]


def traffic_html(traffic: TrafficData) -> str:
    """Write a recording as HTML: who accessed how much at home and elsewhere, and how it was shared."""
    tables = [_initiators(traffic), _sharing(traffic)] if traffic.source == "trace" else [_changed(traffic)]
    return measurement_html(
        "traffic",
        f"traffic of {traffic.spec['name']}",
        tables,
        traffic.manifest,
        caveat=source_caveat(traffic),
        label=label(traffic.manifest),
        notes=resolution(traffic).splitlines(),
    )


def _initiators(traffic: TrafficData) -> Table:
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
    return Table("accesses to FAM, and their bytes", heads, rows)


def _sharing(traffic: TrafficData) -> Table:
    shared = sharing(traffic)
    rows = [
        [kind, *(f"{int(number):,}" for number in (granules, *accesses))]
        for kind, granules, accesses in zip(
            KINDS, shared["granules"].values, shared["accesses"].values, strict=True
        )
    ]
    caption = f"granules of {format_size(traffic.granule)}, by who touches them"
    return Table(caption, ["class", "granules", "loads", "stores"], rows)


def _changed(traffic: TrafficData) -> Table:
    heads, numbers = ["node", "granules that changed"], [("anyone", traffic.counts["changed"].values)]
    if "changed_by" in traffic.counts:
        numbers += zip(traffic.nodes, traffic.counts["changed_by"].values, strict=True)
    rows = [[name, f"{int((values > 0).sum()):,}"] for name, values in numbers]
    return Table(f"granules of {format_size(traffic.granule)} that changed", heads, rows)
