"""Recordings made of given counts, or of a seed, without a lab."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import xarray as xr
from reference_caches import LINE, Access, Loss, ReferenceCaches

from fame_lab.spec.lab_spec import LabSpec
from fame_lab.traffic.trace.access_log import _schema
from fame_lab.traffic.traffic import Traffic
from fame_lab.traffic.transactions.cache import Cache
from fame_lab.traffic.transactions.dataset import GROUPS, LOSS_FIELDS

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


def _cells_of(accesses: Sequence[Access], unit: int) -> Cells:
    """Count accesses where they begin, and bytes where they lie; a locked instruction loads and stores."""
    counts: Counter[tuple[str, int, int]] = Counter()
    bytes_: Counter[tuple[str, int, int]] = Counter()
    for node, offset, size, kind in accesses:
        for op in OPS if kind == "locked" else (kind,):
            counts[op, node + 1, offset // unit * unit] += 1
            for byte in range(offset, offset + size):
                bytes_[op, node + 1, byte // unit * unit] += 1
    return {place: (counts[place], size) for place, size in bytes_.items()}


def _group(counts: Counter[tuple[str, int, int]], name: str, nodes: int, places: Any, unit: int) -> Any:
    labels = GROUPS[name][1]
    values = np.zeros((len(labels), nodes, len(places)), "u8")
    for (what, node, line), count in counts.items():
        if what in labels:
            values[labels.index(what), node, places.tolist().index(line * LINE // unit * unit)] += count
    return values


def _caches(
    model: ReferenceCaches, cache: Cache, names: Sequence[str], line_accesses: Sequence[int]
) -> xr.Dataset:
    """Return what the caches lost and hold, with what they have not noticed."""
    losses = {key: dataclasses.replace(loss, takers={*loss.takers}) for key, loss in model.losses.items()}
    totals: dict[str, list[int]] = {name: [] for name in ("losses", "resident", "resident_dirty")}
    for node, sets in enumerate(model.caches):
        late = held = dirty = 0
        for way in (way for ways in sets.values() for way in ways):
            line = model.lines[way.line]
            if model.hardware and node not in line.holders:
                late += 1
                loss, own = losses.setdefault((node, way.line), Loss()), way.loaded | way.stored
                loss.takers.add(line.taker)
                loss.own_bytes |= own
                loss.taken_bytes |= line.taken_bytes
                loss.sharing += bool(own & line.taken_bytes)
                loss.false_sharing += not own & line.taken_bytes
            else:
                held += 1
                dirty += line.state == "M" if model.hardware else bool(way.stored)
        lost = sum(count for (what, by, _), count in model.counts.items() if (what, by) == ("losses", node))
        for name, value in (("losses", lost + late), ("resident", held), ("resident_dirty", dirty)):
            totals[name].append(value)
    for name in ("evictions", "drops"):
        by_node = [
            sum(c for (what, by, _), c in model.counts.items() if (what, by) == (name, node))
            for node in range(len(names))
        ]
        totals[name] = by_node
    totals |= {name: [0] * len(names) for name in ("waits", "late_waits", "wait_asked", "wait_done")}
    rows = sorted(losses)
    fields = {name: [int(getattr(losses[row], name)) for row in rows] for name in LOSS_FIELDS[1:]}
    fields["takers"] = [sum(1 << taker for taker in losses[row].takers) for row in rows]
    taken = [[model.invalidations[by, victim] for victim in range(len(names))] for by in range(len(names))]
    small = ("false_sharing", "sharing")
    return xr.Dataset(
        {
            "invalidations": (("initiator", "victim"), np.array(taken, "u8")),
            "line_accesses": ("node", np.array(line_accesses, "u8")),
            **{name: ("node", np.array(values, "u8")) for name, values in totals.items()},
            "loss_node": ("loss", np.array([node for node, _ in rows], "u4")),
            "loss_line": ("loss", np.array([line * LINE for _, line in rows], "u8")),
            **{
                name: ("loss", np.array(values, "u4" if name in small else "u8"))
                for name, values in fields.items()
            },
        },
        coords={each: list(names) for each in ("node", "initiator", "victim")},
        attrs=cache.to_dict(),
    )


def a_cached_trace(
    accesses: Sequence[Access],
    *,
    cache: Cache = Cache("4K", ways=1),  # noqa: B008 - it cannot be changed
    looks: int = 2,
    granule: int = 4096,
    **fields: Any,
) -> Traffic:
    """Create a trace with a cache: its counts are those of the model in plain Python, look by look."""
    spec = a_spec(**fields)
    model = ReferenceCaches(
        spec.nodes, cache.sets, cache.ways,
        hardware=cache.coherence == "hardware", memory_atomics=cache.atomics == "memory",
    )  # fmt: skip
    parts = [accesses[each] for each in _slices(len(accesses), looks)]
    steps = []
    for part in parts:
        before = model.counts.copy()
        model.run(part)
        steps.append(model.counts - before)
    book = spec.books.book
    rows = [(0.25 * (look + 1), _cells_of(part, book)) for look, part in enumerate(parts)]
    traffic = a_trace(_cells_of(accesses, granule), looks=rows, granule=granule, **fields)
    counts, timeline = traffic.counts, traffic.timeline
    for name, (dimension, labels) in GROUPS.items():
        values = _group(model.counts, name, spec.nodes, counts["granule"].values, granule)
        counts = counts.assign({name: ((dimension, "node", "granule"), values)})
        counts = counts.assign_coords({dimension: list(labels)})
        added = [_group(step, name, spec.nodes, timeline["bin"].values, book) for step in steps]
        shape = (looks, len(labels), spec.nodes, timeline.sizes["bin"])
        increments = np.array(added, "u8").reshape(shape)
        timeline = timeline.assign({name: (("time", dimension, "node", "bin"), increments)})
        timeline = timeline.assign_coords({dimension: list(labels)})
    touched = [0] * spec.nodes
    for node, offset, size, _ in accesses:
        touched[node] += (offset + size - 1) // LINE - offset // LINE + 1
    caches = _caches(model, cache, spec.node_names, touched)
    manifest = MANIFEST | {"cache": cache.to_dict()}
    return dataclasses.replace(traffic, counts=counts, timeline=timeline, caches=caches, manifest=manifest)


def _slices(count: int, parts: int) -> list[slice]:
    edges = [count * part // max(parts, 1) for part in range(parts + 1)]
    return [slice(*pair) for pair in pairwise(edges)]


def some_accesses(count: int, *, seed: int = 0, **fields: Any) -> list[Access]:
    """Return accesses of all nodes from a seed: half of them to a few lines that all nodes share."""
    spec, random = a_spec(**fields), np.random.default_rng(seed)
    far = spec.fam_size - (1 << 20)
    shared = random.integers(0, 4, count) * (far // 4)
    own = random.integers(0, 200, count) * 4096 % far
    offsets = np.where(random.random(count) < 0.5, shared, own) + random.integers(0, 8, count) * 8
    kinds = random.choice(["load", "load", "store", "locked"], count)
    nodes = random.integers(0, spec.nodes, count)
    return [
        (int(node), int(offset), 8, str(kind))
        for node, offset, kind in zip(nodes, offsets, kinds, strict=True)
    ]


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
