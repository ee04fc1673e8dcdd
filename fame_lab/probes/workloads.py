"""Workloads: what programs do to memory, on data that are at home where you say, every access counted.

An access is one load or store of 8 bytes by a node to FAM. All that a node's program does to FAM is
counted, by the home of what it touched: touching the pages, making the data ready, warm-up, every attempt
of a retry; an atomic, a failed one too, is a load and a store. What it does in the control area, its
barrier above all, is not. The seed decides everything but time, and what races decide: how often a
key-value store tries again.

=================== ============================================= =========================================
workload            one operation                                 data
=================== ============================================= =========================================
sequential          load the next word                            the node's own, `size` bytes
strided             load the word `stride` bytes on               the node's own
random              load any word                                 the node's own
zipf                load a word, few often and most seldom        the node's own
stream              an element of copy, scale, add or triad       the node's own: three arrays of doubles
gups                exclusive-or into any word: load, store       one table for all
histogram-shared    count a sample by an atomic add               `bins` for all
histogram-private   count it by a load and a store                bins of each node's own, added atomically
                                                                  to bins for all after each batch
kv                  read or write a record of a random key        one table for all, 64 bytes a record
=================== ============================================= =========================================

After McCalpin's STREAM, HPCC's RandomAccess, and YCSB's key-value stores (records by zipf); zipf after
Hörmann and Derflinger (ACM TOMACS 6(3), 1996). What is left in FAM is worked out anew by the host, and
compared. A record of ``kv`` has a sequence lock: its version is made odd by compare-and-swap while its
seven words of value are stored; they follow from each other, so that each read sees whether it was torn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import xarray as xr

from fame_lab.core.jobs.progress import current
from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import KIB
from fame_lab.errors import SpecError
from fame_lab.probes.common.arguments import MAPPINGS, find_nodes
from fame_lab.probes.common.batches import PREEMPTED, TIMER, summary
from fame_lab.probes.common.constraints import Choice, Choices, Multiple, Range
from fame_lab.probes.common.declaration import check_arguments
from fame_lab.probes.common.host_contention import oversubscribed
from fame_lab.probes.common.measurement import Measurement
from fame_lab.probes.common.workload_placement import PLACEMENTS
from fame_lab.probes.common.workload_plot import plot
from fame_lab.probes.common.workload_run import KINDS, NodeShare, Run, WorkloadSettings, run_one
from fame_lab.results.result import Result

if TYPE_CHECKING:
    from fame_lab.host.target import TargetLab, TargetNode
__all__ = ["WORKLOADS", "plot", "run"]

WORKLOADS = tuple(KINDS)

_RECORD = 64


@check_arguments
def run(
    lab: TargetLab,
    *,
    workloads: Annotated[str | Sequence[str], Choices(*WORKLOADS, "histogram")] = WORKLOADS,
    placement: Annotated[str, Choice(*PLACEMENTS)] = "own",
    nodes: Sequence[int | str] | None = None,
    size: Annotated[int | str, Multiple(_RECORD, 4 * KIB, 16 << 30)] = "1M",
    operations: Annotated[int, Range(1, 2**20)] = 1 << 17,
    batches: Annotated[int, Range(30, 1000)] = 30,
    seed: Annotated[int, Range(0, 2**64 - 1)] = 1,
    stride: Annotated[int | str, Multiple(8)] = 256,
    theta: Annotated[float, Range(0.0, 10.0)] = 0.99,
    bins: Annotated[int, Range(1, 2**20)] = 4096,
    reads: Annotated[float, Range(0.0, 1.0)] = 0.95,
    mapping: Annotated[str, Choice(*MAPPINGS)] = "uc",
    peer_timeout: Annotated[float, Range(1.0, 3600.0, "seconds", whole=True)] = 60.0,
    timeout: Annotated[float, Range(1.0, 86400.0, "seconds")] = 600.0,
) -> Result:
    """Run workloads in turn, each on several nodes at once. Overwrites FAM from the start of each home.

    Parameters
    ----------
    lab : Lab
    workloads : str or sequence of str
        Some of :data:`WORKLOADS`, or ``"histogram"`` for both of its kinds.
    placement : {"own", "remote", "interleaved"}
        Where data are at home. A node's own data: on the node itself; on the next one, in the lab's order
        and round its end; page by page on all nodes of the lab in turn (coarser above 4 MiB: at most 1024
        pieces). Shared data: on the first node that takes part; on the first that takes no part, or the
        last that does if all do; on all.
    nodes : sequence of int or str, optional
        Who takes part, by number, from 0, or by name; by default all. They start at one barrier, and go
        through their batches each at its own pace.
    size : int or str
        Bytes of a node's own data, and of a shared table.
    operations : int
        How many a batch has. STREAM does whole rounds of its four kernels, one or more.
    batches : int
        How many timed batches. Before them come 3 that are not kept, but counted.
    seed : int
        What is drawn at random follows from it, and from the node's place among those that
        take part.
    stride : int or str
        Bytes, a multiple of 8 that divides `size`.
    theta : float
        How uneven ``zipf``'s words and ``kv``'s keys are: the k-th is had as often as k to the -theta. With 0
        all are alike.
    bins : int
        Of a histogram.
    reads : float
        The share of ``kv``'s operations that read; the others write.
    mapping : {"uc", "wc", "wb"}
        How the CPUs are asked to treat FAM.
    peer_timeout : float
        Whole seconds that a node waits for another before the probe fails.
    timeout : float
        Seconds for one workload.

    Returns
    -------
    Result
        ``loads`` and ``stores``, exact (workload, initiator, home); ``remote_share`` of all accesses
        (workload, initiator); ``rate`` [operations/s] and ``bandwidth`` [GB/s, 1e9 bytes a second, 8 an
        access] (workload, node, batch) with ``rate_summary`` and ``bandwidth_summary`` (statistic, workload,
        node); ``accesses`` in a batch and ``preempted`` (workload, node, batch); ``operations`` in a batch
        (workload); ``retries`` and ``timer`` (workload, node); ``checked``, the words or records that the
        host compared with what they must be, and ``errors``, how many differed (workload); the coordinate
        ``oversubscribed``: the host has fewer cores than nodes, so that its scheduler was measured.

        Failed, if what must not happen did: a lost sample, a value that nobody wrote, a wrong sum. Updates
        of ``gups`` by several nodes are not atomic (HPCC tolerates 1 % of wrong words): they are counted in
        ``errors``, and are a failure only if one node ran alone.

    Raises
    ------
    SpecError
        If a parameter cannot be right, or the data do not fit into the homes.
    ProbeError, CommandError
        If there are too few nodes, one does not come or cannot end its part, or its counts contradict
        each other.
    """
    kinds = [KINDS[name] for name in _expand(workloads)]
    if int(size) % int(stride) and any(kind.name == "strided" for kind in kinds):
        raise SpecError(
            f"stride is {stride}", hint=f"give a multiple of 8 bytes that divides the size, {size}"
        )
    settings = WorkloadSettings(
        placement=placement, mapping=mapping, size=int(size), bins=8 * bins, operations=operations,
        batches=batches, seed=seed, stride=int(stride), theta=theta, reads=reads, peer_timeout=peer_timeout,
        timeout=timeout,
    )  # fmt: skip
    members = find_nodes(lab, nodes, 1)
    current().set_total(len(kinds) * len(members))
    with Measurement(lab, "workloads") as measurement:
        runs = [run_one(lab, kind, members, settings) for kind in kinds]
    dataset = _dataset(runs, members, lab.spec.node_names)
    failed = [f"{run.kind.name}: {run.outcome.failed}" for run in runs if run.outcome.failed]
    attrs = {"placement": placement, "size": settings.size, "books": str(lab.spec.books)}
    settled = {"workloads": [kind.name for kind in kinds], "nodes": [node.name for node in members]}
    mappings = {part.mapping for run in runs for part in run.parts}
    failures = "; ".join(failed) or None
    return measurement.result(dataset, settled, mappings, attrs, failed=failures, seed=seed)


def _dataset(runs: Sequence[Run], nodes: Sequence[TargetNode], homes: Sequence[str]) -> xr.Dataset:
    """Build the dataset of all runs."""
    names = [node.name for node in nodes]

    def each(what: Callable[[NodeShare], Any], *dims: str, **attrs: str) -> xr.DataArray:
        values = [[what(part) for part in run.parts] for run in runs]
        return xr.DataArray(values, dims=("workload", *dims), attrs=attrs)

    def of_run(what: Callable[[Run], int], long_name: str) -> xr.DataArray:
        return xr.DataArray([what(run) for run in runs], dims="workload", attrs={"long_name": long_name})

    of_batch, of_home = ("node", "batch"), ("initiator", "home")
    per_second = {"units": "operations/s", "long_name": "operations a second"}
    rate = each(lambda part: 1e9 / part.batches.ns_per_operation, *of_batch, **per_second)
    # A byte a nanosecond is 1e9 bytes a second.
    moved = {"units": "GB/s", "long_name": "8 bytes an access"}
    bandwidth = each(lambda part: 8 * part.accesses / part.batches.nanoseconds, *of_batch, **moved)
    dataset = xr.Dataset(
        {
            "rate": rate,
            "bandwidth": bandwidth,
            "accesses": each(lambda part: part.accesses, *of_batch, long_name="accesses in a batch"),
            "preempted": each(lambda part: part.batches.preempted, *of_batch, **PREEMPTED),
            "operations": of_run(lambda run: run.parts[0].batches.operations, "operations in a batch"),
            "retries": each(lambda part: part.retries, "node", long_name="attempts that had to be repeated"),
            "timer": each(lambda part: part.batches.timer_ns, "node", **TIMER),
            "loads": each(lambda part: part.loads, *of_home, long_name="loads of 8 bytes, all of them"),
            "stores": each(lambda part: part.stores, *of_home, long_name="stores of 8 bytes, all of them"),
            "checked": of_run(lambda run: run.outcome.of, "words or records looked at"),
            "errors": of_run(lambda run: run.outcome.errors, "that are not as they must be"),
        },
        coords={
            "workload": [run.kind.name for run in runs],
            "node": names,
            "initiator": names,
            "home": list(homes),
            "oversubscribed": oversubscribed(len(nodes)),
        },
    )
    for name in ("rate", "bandwidth"):
        dataset[f"{name}_summary"] = summary(dataset[name])
    accesses = dataset["loads"] + dataset["stores"]
    local = accesses.where(dataset["home"] == dataset["initiator"], 0)
    dataset["remote_share"] = 1 - local.sum("home") / accesses.sum("home")
    dataset["remote_share"].attrs = {"long_name": "share of accesses to what is at home on another node"}
    return dataset


def _expand(workloads: str | Sequence[str]) -> list[str]:
    names: list[str] = []
    for name in [workloads] if isinstance(workloads, str) else workloads:
        names += ["histogram-shared", "histogram-private"] if name == "histogram" else [name]
    if len(set(names)) != len(names):
        raise SpecError(
            f"workloads is {quoted(workloads)}", hint=f"give some of {', '.join(KINDS)}, each once"
        )
    return names
