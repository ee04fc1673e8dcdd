"""Recordings made of given counts, or of a seed, without a lab."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import xarray as xr

from fame_lab.spec.lab_spec import LabSpec
from fame_lab.traffic.trace.access_log import _schema
from fame_lab.traffic.traffic import Traffic

OPS = ["load", "store"]
MANIFEST: dict[str, Any] = {"accelerator": {"kind": "tcg", "reason": "asked for"}, "seed": 3}

#: Time, node, offset, op, and whether it is the rest of an access.
Row = tuple[int, str, int, str, bool]

#: (op, node number from 1, offset): accesses, or accesses and bytes. Alone, an access is of 8 bytes.
Cells = Mapping[tuple[str, int, int], int | tuple[int, int]]


def a_spec(**fields: Any) -> LabSpec:
    return LabSpec.from_dict({"name": "demo", "nodes": 2, "fam": "64M"} | fields)


def _counted(cells: Cells, spec: LabSpec, places: Sequence[int]) -> tuple[Any, Any]:
    accesses, bytes_ = np.zeros((2, 2, spec.nodes, len(places)), "u8")
    for (op, node, offset), cell in cells.items():
        counted = cell if isinstance(cell, tuple) else (cell, 8 * cell)
        where = (OPS.index(op), node - 1, list(places).index(offset))
        accesses[where], bytes_[where] = counted
    return accesses, bytes_


def a_trace(
    cells: Cells,
    *,
    looks: Sequence[tuple[float, Cells]] = (),
    granule: int = 4096,
    ended: dict[str, str] | None = None,
    **fields: Any,
) -> Traffic:
    """Create a trace of cells by granule, and of looks with cells by book."""
    spec = a_spec(**fields)
    book = spec.books.book
    names = {"op": OPS, "node": list(spec.node_names)}
    offsets = sorted({offset for _, _, offset in cells})
    bins = sorted({offset for _, added in looks for _, _, offset in added})
    parts = dict(zip(("accesses", "bytes"), _counted(cells, spec, offsets), strict=True))
    added = [_counted(each, spec, bins) for _, each in looks]
    shape = (len(looks), 2, spec.nodes, len(bins))
    return Traffic(
        counts=xr.Dataset(
            {name: (("op", "node", "granule"), values) for name, values in parts.items()},
            coords=names | {"granule": np.array(offsets, "u8")},
            attrs={"granule": granule},
        ),
        timeline=xr.Dataset(
            {
                name: (
                    ("time", "op", "node", "bin"),
                    np.array([each[k] for each in added], "u8").reshape(shape),
                )
                for k, name in enumerate(("accesses", "bytes"))
            },
            coords=names | {"time": np.array([time for time, _ in looks], "f8"), "bin": np.array(bins, "u8")},
            attrs={"bin": book},
        ),
        spec=spec.to_dict(),
        source="trace",
        window=(0, spec.fam_size),
        manifest=MANIFEST,
        ended=ended or {},
    )


def a_crowd(places: int, *, seed: int = 0, looks: int = 8, granule: int = 4096, **fields: Any) -> Traffic:
    """Create a trace of many places, from a seed."""
    spec, random = a_spec(**fields), np.random.default_rng(seed)
    chosen = np.sort(random.choice((spec.fam_size - 65536) // granule, places, replace=False)) * granule
    counts = random.zipf(1.6, (2, spec.nodes, places)).clip(max=10**6) * random.integers(
        0, 2, (2, spec.nodes, places)
    )
    cells = {
        (op, node + 1, int(offset)): int(counts[o, node, place])
        for o, op in enumerate(OPS)
        for node in range(spec.nodes)
        for place, offset in enumerate(chosen)
    }
    book = spec.books.book
    books = sorted({int(offset) // book * book for offset in chosen})
    rows = [
        (
            0.25 * (look + 1),
            {
                (op, node + 1, offset): int(random.integers(0, 1000))
                for op in OPS
                for node in range(spec.nodes)
                for offset in books
            },
        )
        for look in range(looks)
    ]
    return a_trace(cells, looks=rows, granule=granule, **fields)


def some_samples(
    changed: Mapping[int, int],
    *,
    by: Mapping[int, Sequence[int]] | None = None,
    looks: int = 3,
    **fields: Any,
) -> Traffic:
    """Create samples: looks that saw a granule changed, and with `by`, of each node."""
    spec = a_spec(**fields)
    offsets = sorted(changed)
    counts = xr.Dataset(
        {"changed": ("granule", np.array([changed[offset] for offset in offsets], "u4"))},
        coords={"granule": np.array(offsets, "u8")},
        attrs={"granule": 4096},
    )
    if by is not None:
        author = np.array([by[offset] for offset in offsets], "u4").reshape(-1, spec.nodes).T
        counts = counts.assign(changed_by=(("node", "granule"), author))
        counts = counts.assign_coords(node=list(spec.node_names))
    bins = sorted({offset >> 20 << 20 for offset in offsets})
    values = np.arange(looks * len(bins), dtype="u8").reshape(looks, len(bins))
    timeline = xr.Dataset(
        {"changed": (("time", "bin"), values)},
        coords={"time": (np.arange(looks) + 1) / 10, "bin": np.array(bins, "u8")},
        attrs={"bin": 1 << 20},
    )
    return Traffic(
        counts=counts, timeline=timeline, spec=spec.to_dict(), source="samples",
        window=(0, spec.fam_size), manifest={"accelerator": {"kind": "kvm"}},
    )  # fmt: skip


def an_order(
    path: Path, rows: Sequence[Row], *, lost: int = 0, manifest: Mapping[str, Any] = MANIFEST
) -> Path:
    """Write (time, node, offset, op, continued) as a recording does."""
    times, nodes, offsets, ops, continued = ([row[n] for row in rows] for n in range(5))
    schema = _schema(pa)
    table = pa.table(
        [
            pa.array(times, "u8"),
            pa.array(nodes, pa.string()).dictionary_encode().cast(schema.field("node").type),
            pa.array([0] * len(rows), pa.uint8()),
            pa.array(offsets, "u8"),
            pa.array([8] * len(rows), pa.uint32()),
            pa.array(ops, pa.string()).dictionary_encode().cast(schema.field("op").type),
            pa.array(continued, pa.bool_()),
        ],
        schema=schema,
    )
    metadata = {"lost": json.dumps({"node01": lost, "node02": 0}), "manifest": json.dumps(manifest)}
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), path)
    return path
