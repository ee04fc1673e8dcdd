"""One run of a workload: the place of its data, the nodes' reports, and their check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fame_lab.errors import ProbeError
from fame_lab.probes.common.arguments import fam_options
from fame_lab.probes.common.barrier import run_at_barrier, single_record
from fame_lab.probes.common.batches import Batches, read_batches
from fame_lab.probes.common.program_output import OutputRecord
from fame_lab.probes.common.workload_checks import (
    FinalState,
    Outcome,
    check_gups,
    check_histogram,
    check_kv,
    check_stream,
)
from fame_lab.probes.common.workload_placement import Placement, StripedRange

if TYPE_CHECKING:
    from fame_lab.host.target import TargetLab, TargetNode
__all__ = ["KINDS", "NodeShare", "Run", "Workload", "WorkloadSettings", "run_one"]

Words = npt.NDArray[np.uint64]

_MAX_COUNT = (1 << 63) - 1
_WARM_UP = 3  # batches, as in batches.h


@dataclass(frozen=True)
class Workload:
    """A workload: what data it takes, and what is known of it beforehand.

    Parameters
    ----------
    name : str
        As the probe program has it.
    private, shared : {"", "size", "bins"}
        Whether each node has data of its own, whether all share some, and what says how much.
    accesses : float, optional
        Loads and stores of an operation, if every one has as many.
    check : callable, optional
        Checks the data that are left.
    """

    name: str
    private: str = ""
    shared: str = ""
    accesses: float | None = None
    check: Callable[[FinalState], Outcome] | None = None


KINDS = {
    kind.name: kind
    for kind in (
        Workload("sequential", private="size", accesses=1),
        Workload("strided", private="size", accesses=1),
        Workload("random", private="size", accesses=1),
        Workload("zipf", private="size", accesses=1),
        Workload("stream", private="size", accesses=10 / 4, check=check_stream),
        Workload("gups", shared="size", accesses=2, check=check_gups),
        Workload("histogram-shared", shared="bins", accesses=2, check=check_histogram),
        Workload("histogram-private", private="bins", shared="bins", check=check_histogram),
        Workload("kv", shared="size", check=check_kv),
    )
}


@dataclass(frozen=True)
class WorkloadSettings:
    """The settings of all workloads of a run.

    Parameters
    ----------
    placement, mapping : str
    size, bins : int
        Bytes of data, and of a histogram's bins.
    operations, batches, seed : int
        Operations of a batch as they were asked for.
    stride : int
        Bytes.
    theta, reads : float
    peer_timeout, timeout : float
        Seconds.
    """

    placement: str
    mapping: str
    size: int
    bins: int
    operations: int
    batches: int
    seed: int
    stride: int
    theta: float
    reads: float
    peer_timeout: float
    timeout: float

    def words(self) -> list[str]:
        """Return the probe program's options that all nodes are given."""
        values = {
            "operations": self.operations, "batches": self.batches, "seed": self.seed, "stride": self.stride,
            "theta-ppm": round(1e6 * self.theta), "reads-ppm": round(1e6 * self.reads),
        }  # fmt: skip
        options = [word for name, value in values.items() for word in (f"--{name}", str(value))]
        return [*fam_options(self.mapping), *options]

    def bytes_of(self, what: str) -> int:
        """Return how many bytes ``"size"`` or ``"bins"`` stand for; 0 for ``""``."""
        return {"": 0, "size": self.size, "bins": self.bins}[what]

    def operations_of(self, kind: Workload) -> int:
        """Return how many operations a batch has: STREAM does whole rounds of its four kernels."""
        if kind.name != "stream":
            return self.operations
        a_round = 4 * (self.size // 24)
        return max(1, self.operations // a_round) * a_round

    def total_of(self, kind: Workload) -> int:
        """Return how many operations a node does in all, those of the warm-up included."""
        return (_WARM_UP + self.batches) * self.operations_of(kind)


@dataclass(frozen=True)
class NodeShare:
    """One node's share of a run.

    Parameters
    ----------
    batches : Batches
    accesses : ndarray
        In each batch.
    loads, stores : ndarray
        In all, at each home, by the number of its node.
    writes, retries, torn : int
    mapping : str
    """

    batches: Batches
    accesses: Words
    loads: Words
    stores: Words
    writes: int
    retries: int
    torn: int
    mapping: str


@dataclass(frozen=True)
class Run:
    """The nodes' shares, in order, and the outcome of the check, which is empty if nothing was to check."""

    kind: Workload
    parts: Sequence[NodeShare]
    outcome: Outcome


def run_one(lab: TargetLab, kind: Workload, nodes: Sequence[TargetNode], settings: WorkloadSettings) -> Run:
    """Run a workload on some nodes at once, and check the data that are left.

    Raises
    ------
    SpecError
        If the data do not fit.
    ProbeError
        If a node cannot end its part, or its report contradicts itself.
    """
    placement = Placement(lab.spec.books, settings.placement, [node.index for node in nodes])
    private_size, shared_size = (settings.bytes_of(what) for what in (kind.private, kind.shared))
    shared = placement.shared(shared_size) if shared_size else None
    private = {node: placement.private(node.index, private_size) for node in nodes if private_size}
    common = ["workload", kind.name, *settings.words(), *placement.program_words()]
    common += shared.words("shared") if shared else []
    arguments = {
        node: [*common, "--rank", str(rank), *(private[node].words("private") if private else [])]
        for rank, node in enumerate(nodes)
    }
    lines = run_at_barrier(lab, arguments, peer_timeout=settings.peer_timeout, timeout=settings.timeout)
    parts = [
        _part(
            single_record(lines, node, "workload"), kind, settings, lab.spec.nodes, private.get(node), shared
        )
        for node in nodes
    ]
    if kind.check is None:
        return Run(kind, parts, Outcome(0, 0))
    final = FinalState(
        seed=settings.seed,
        parties=len(nodes),
        operations=settings.total_of(kind),
        private=[spread.read(lab.fam) for spread in private.values()],
        shared=shared.read(lab.fam) if shared else np.empty(0, np.uint64),
        writes=sum(part.writes for part in parts),
        torn=sum(part.torn for part in parts),
    )
    return Run(kind, parts, kind.check(final))


def _part(
    fields: OutputRecord,
    kind: Workload,
    settings: WorkloadSettings,
    homes: int,
    private: StripedRange | None,
    shared: StripedRange | None,
) -> NodeShare:
    operations = settings.operations_of(kind)
    fields.choice("name", [kind.name])
    fields.integer("operations", operations, operations)
    fields.integer("warm_up", _WARM_UP, _WARM_UP)
    loads, stores = (
        _by_home(fields, "private", private, what, homes) + _by_home(fields, "shared", shared, what, homes)
        for what in ("loads", "stores")
    )
    batches = read_batches(fields, "operations", settings.batches)
    accesses = np.array(fields.integers("accesses", settings.batches, 1, _MAX_COUNT), np.uint64)
    if kind.accesses is not None and (accesses != kind.accesses * operations).any():
        raise ProbeError(
            f"{fields.node}: {kind.name} makes {kind.accesses * operations:.0f} accesses a batch, "
            f"and the probe counted from {accesses.min()} to {accesses.max()}"
        )
    counted, least = int(loads.sum() + stores.sum()), int(accesses.sum())
    if counted < least:
        raise ProbeError(f"{fields.node}: the probe counted {counted} accesses, of them {least} in batches")
    return NodeShare(
        batches,
        accesses,
        loads,
        stores,
        writes=fields.integer("writes", 0, settings.total_of(kind)),
        retries=fields.integer("retries", 0, 1 << 53),
        torn=fields.integer("torn", 0, settings.total_of(kind)),
        mapping=fields.mapping(),
    )


def _by_home(fields: OutputRecord, which: str, spread: StripedRange | None, what: str, homes: int) -> Words:
    """Return the accesses to one array, by the number of the home."""
    totals = np.zeros(homes, np.uint64)
    listed = spread.homes if spread is not None else ()
    totals[list(listed)] = fields.integers(f"{which}_{what}", len(listed), 0, _MAX_COUNT // 64)
    return totals
