"""The data of transactions: by granule, and by cache."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fame_lab.traffic.transactions.cache import LINE, Cache
from fame_lab.traffic.transactions.directory import LineDirectory, Records
from fame_lab.traffic.transactions.layout import CAUSES, KINDS, LOSS

__all__ = ["GROUPS", "LOSS_FIELDS", "NO_COUNTS", "TOTALS", "caches_dataset", "with_transactions"]

#: The variables of counts, with the dimension of each and its labels.
GROUPS = {"transactions": ("kind", KINDS), "misses": ("cause", CAUSES)}
#: Totals of a cache, with their units. A late wait was over before it began. Nobody waits if nothing is felt.
TOTALS = {
    "line_accesses": "lines",
    "evictions": "lines",
    "losses": "lines",
    "drops": "lines",
    "resident": "lines",
    "resident_dirty": "lines",
    "waits": "waits",
    "late_waits": "waits",
    "wait_asked": "ns",
    "wait_done": "ns",
}
#: What is known of each line that a node lost.
LOSS_FIELDS = ("takers", "own_bytes", "taken_bytes", "false_sharing", "sharing")
#: Numbers, offsets and bits of lost lines, which nobody adds up.
NO_COUNTS = frozenset({"loss_node", "loss_line", "takers", "own_bytes", "taken_bytes"})


def with_transactions(
    counts: xr.Dataset, by_node: Mapping[str, tuple[npt.NDArray[np.int64], Records]], granule: int
) -> xr.Dataset:
    """Add the counts of transactions and misses to those of accesses.

    Parameters
    ----------
    counts : Dataset
        Over (op, node, granule).
    by_node : mapping
        Numbers of granules and their counts, by the node's name.
    granule : int
        Bytes.

    Returns
    -------
    Dataset
        With ``transactions`` (kind, node, granule) and ``misses`` (cause, node, granule), uint64.
    """
    known = counts["granule"].values // granule
    numbers = np.unique(np.concatenate([known, *(own for own, _ in by_node.values())]))
    if len(numbers) > len(known):  # none but a QEMU that lies has transactions where it has no access
        attributes = counts["granule"].attrs
        counts = counts.reindex(granule=numbers * granule, fill_value=0)
        counts["granule"].attrs.update(attributes)
    for name, (dimension, labels) in GROUPS.items():
        values = np.zeros((len(labels), len(by_node), len(numbers)), np.uint64)
        for node, (own, records) in enumerate(by_node.values()):
            places = np.searchsorted(numbers, own)
            for at, label in enumerate(labels):
                values[at, node, places] = records[label]
        counts[name] = ((dimension, "node", "granule"), values, {"long_name": f"{name} of the cache model"})
        counts = counts.assign_coords({dimension: list(labels)})
    return counts


def caches_dataset(
    directory: LineDirectory, cache: Cache, nodes: tuple[str, ...], gone: Collection[int]
) -> xr.Dataset:
    """Read what each cache lost and holds.

    Parameters
    ----------
    directory : LineDirectory
    cache : Cache
    nodes : tuple of str
        Their names.
    gone : collection of int
        Numbers of nodes that died: they hold nothing.

    Returns
    -------
    Dataset
        ``invalidations`` (initiator, victim), the totals of :data:`TOTALS` (node), and of each line that a
        node lost, over (loss): ``loss_node``, ``loss_line`` [B], and the fields of :data:`LOSS_FIELDS`. Bits
        of ``takers`` are nodes, bits of ``own_bytes`` and ``taken_bytes`` bytes of the line. ``attrs`` are
        the cache's fields.
    """
    totals = [directory.totals(node) for node in range(len(nodes))]
    by_node: dict[str, list[int]] = {name: [] for name in TOTALS}
    lost: list[tuple[int, npt.NDArray[np.int64], Records]] = []
    for node, total in enumerate(totals):
        held = directory.held(node, cache)
        kept = held.held(node) if cache.coherence == "hardware" else np.ones(len(held.lines), bool)
        kept &= node not in gone
        dirty = held.modified if cache.coherence == "hardware" else held.stored
        # What it lost since its last miss in that set it has not noticed.
        unnoticed = np.zeros(len(held.lines), bool) if node in gone else ~kept
        lines, losses = directory.losses(node)
        late = _losses_of(held.takers[unnoticed], held.bytes[unnoticed], held.records["bytes"][unnoticed])
        lost.append((node, *_merge(lines, losses, held.lines[unnoticed], late)))
        values = (
            total["accesses"], total["evictions"], total["losses"] + np.uint64(unnoticed.sum()),
            total["drops"], kept.sum(), (kept & dirty).sum(),
            *(total[each] for each in ("waits", "late", "asked_ns", "waited_ns")),
        )  # fmt: skip
        for name, value in zip(TOTALS, values, strict=True):
            by_node[name].append(int(value))
    invalidations = np.array([total["invalidations"][: len(nodes)] for total in totals], "u8")
    records = np.concatenate([np.zeros(0, LOSS), *(losses for _, _, losses in lost)])
    variables: dict[str, Any] = {
        "invalidations": (("initiator", "victim"), invalidations, {"long_name": "copies taken by stores"}),
        **{name: ("node", np.array(by_node[name], "u8"), {"units": unit}) for name, unit in TOTALS.items()},
        "loss_node": (
            "loss",
            np.repeat([node for node, _, _ in lost], [len(each) for _, each, _ in lost]).astype("u4"),
        ),
        "loss_line": (
            "loss",
            (np.concatenate([np.zeros(0, "i8"), *(lines for _, lines, _ in lost)]) * LINE).astype("u8"),
            {"units": "B", "long_name": "offset in FAM"},
        ),
        **{name: ("loss", records[name].copy()) for name in LOSS_FIELDS},
    }
    return xr.Dataset(
        variables,
        coords={"node": list(nodes), "initiator": list(nodes), "victim": list(nodes)},
        attrs=cache.to_dict(),
    )


def _losses_of(
    takers: npt.NDArray[np.uint64], own: npt.NDArray[np.uint64], taken: npt.NDArray[np.uint64]
) -> Records:
    losses = np.zeros(len(own), LOSS)
    losses["takers"] = np.uint64(1) << takers
    losses["own_bytes"], losses["taken_bytes"] = own, taken
    losses["sharing"] = (own & taken) != 0
    losses["false_sharing"] = 1 - losses["sharing"]
    return losses


def _merge(
    lines: npt.NDArray[np.int64], losses: Records, more: npt.NDArray[np.int64], late: Records
) -> tuple[npt.NDArray[np.int64], Records]:
    """Add the losses of the lines `more`, each of which is there once, to others."""
    every = np.union1d(lines, more)
    merged = np.zeros(len(every), LOSS)
    merged[np.searchsorted(every, lines)] = losses
    at = np.searchsorted(every, more)
    for name in ("takers", "own_bytes", "taken_bytes"):
        merged[name][at] |= late[name]
    for name in ("false_sharing", "sharing"):
        merged[name][at] += late[name]
    return every, merged
