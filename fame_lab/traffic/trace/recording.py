"""Traces: each node's QEMU counts its accesses to FAM, exactly, while a recording runs."""

from __future__ import annotations

import logging
import os
from typing import Any, Protocol, Self, cast

from fame_lab.core.jobs.progress import job
from fame_lab.errors import FameError, TrafficError
from fame_lab.host.target import TargetLab, TargetNode
from fame_lab.host.trace_plugin import addresses_blocks
from fame_lab.spec.fam_layout import CONTROL_SIZE
from fame_lab.traffic.fabric import FabricModel
from fame_lab.traffic.recording import NEVER_STARTED, Recording
from fame_lab.traffic.snapshot import Snapshot, of_counters, of_traffic
from fame_lab.traffic.trace.access_log import AccessLog
from fame_lab.traffic.trace.arguments import (
    check_cache,
    check_felt,
    check_granule,
    check_interval,
    check_order,
)
from fame_lab.traffic.trace.counter_layout import DEFAULT_GRANULE, FINEST_GRANULE
from fame_lab.traffic.trace.counters import Counters, warn_of_room
from fame_lab.traffic.trace.dataset import dataset
from fame_lab.traffic.trace.instrumentation import instrument, stop_instrumenting
from fame_lab.traffic.trace.proof import check_pattern
from fame_lab.traffic.trace.ring_buffer import AccessRing
from fame_lab.traffic.trace.timeline import Timeline
from fame_lab.traffic.traffic import Traffic
from fame_lab.traffic.transactions.cache import Cache
from fame_lab.traffic.transactions.counting import TransactionCounts, felt_manifest
from fame_lab.traffic.transactions.directory import LineDirectory
from fame_lab.traffic.validation import check_sums

__all__ = ["TraceRecording"]

log = logging.getLogger(__name__)


class TracedNode(TargetNode, Protocol):
    """A node of a lab with ``trace=True``."""

    def counters(self) -> Counters:
        """Open the file in which its QEMU counts accesses."""

    def order_ring(self) -> AccessRing:
        """Open the file through which its QEMU passes accesses in their order."""


class TracedLab(TargetLab, Protocol):
    """A lab with ``trace=True``."""

    def line_directory(self) -> LineDirectory:
        """Open the file in which its QEMUs keep who holds which line of FAM."""


class TraceRecording(Recording):
    """Exact counts of every load and store to FAM, by node and granule.

    Parameters
    ----------
    lab : Lab
        Started with ``trace=True``.
    granule : int or str
        Bytes, a power of two from 64 B to 64 KiB, and at most a book.
    interval : float
        Seconds between two looks for the timeline.
    order : path, optional
        The file for the accesses in their order; see :class:`fame_lab.traffic.trace.access_log.AccessLog`.
    cache : Cache, optional
        The cache of each node, by which transactions are counted.
    fabric : FabricModel, optional
        The fabric that programs feel, slowed by `dilation`.
    dilation : float, optional

    Raises
    ------
    SpecError
        If an argument cannot be right.
    """

    source = "trace"

    def __init__(
        self,
        lab: TargetLab,
        *,
        granule: int | str = DEFAULT_GRANULE,
        interval: float = 0.2,
        order: str | os.PathLike[str] | None = None,
        cache: Cache | None = None,
        fabric: FabricModel | None = None,
        dilation: float | None = None,
    ) -> None:
        super().__init__()
        self._lab = lab
        self._granule = check_granule(granule, int(lab.spec.book))
        self._interval = check_interval(interval)
        self._order_path = None if order is None else check_order(order)
        self._cache = None if cache is None else check_cache(cache, lab.spec.fam_size)
        self._felt = check_felt(fabric, dilation, cache, lab.spec.nodes)
        self.felt = self._felt.describe() if self._felt else ""
        self._transactions: TransactionCounts | None = None
        self._rings: dict[str, AccessRing] = {}
        self._order: AccessLog | None = None
        self._counters: dict[str, Counters] = {}
        self._timeline: Timeline | None = None
        self._manifest: dict[str, Any] = {}
        self._last: Traffic | None = None
        self._nodes: tuple[TracedNode, ...] = ()

    def start(self) -> Self:
        """Start to count, after a proof that every node counts the right memory.

        Raises
        ------
        TrafficError
            If a node counts other memory, its counters cannot be read, or another recording runs.
        """
        if self._counters:
            raise TrafficError("this recording runs already", hint="stop it first")
        nodes = self._nodes = tuple(cast("TracedNode", node) for node in self._lab.nodes)
        warn_of_room(self._lab.spec, self._granule)
        self._last = None
        try:
            for node in nodes:
                self._counters[node.name] = node.counters()
            self._lab.each(nodes, self._prepare)
            self._manifest = self._lab.manifest() | {
                "source": self.source, "granule": self._granule, "interval": self._interval,
            }  # fmt: skip
            if self._order_path is not None:
                for node in nodes:
                    self._rings[node.name] = node.order_ring()
                self._order = AccessLog(self._order_path, self._rings, self._manifest)
                self._order.start()
            if self._cache is not None:
                self._manifest |= {"cache": self._cache.to_dict()} | felt_manifest(self._felt, self._counters)
                lines = cast("TracedLab", self._lab).line_directory()
                self._transactions = TransactionCounts(
                    lines, self._cache, self._granule, self._counters, self._felt
                )
            for counters in self._counters.values():
                counters.set(recording=1)
            self._timeline = Timeline(self._lab.spec, self._counters, self._interval, self._transactions)
            self._timeline.start()
        except BaseException:
            self._end()
            raise
        return self

    def stop(self) -> Traffic:
        """Stop, and return the traffic that was counted. Safe to repeat."""
        if not self._counters:
            return self.traffic()
        try:
            for counters in self._counters.values():
                counters.set(recording=0)
            if self._timeline is not None:
                self._timeline.stop()
            if self._order is not None:
                order, self._order = self._order, None
                try:
                    lost = order.stop()
                except FameError:
                    self._last = self._read()  # the counts do not depend on the order
                    raise
                self._manifest["order"] = {"file": str(order.path), "accesses": order.rows, "lost": lost}
            self._last = self._read(transactions=False)  # it does not depend on the line directory
            if self._transactions is not None:
                self._last = self._read()
        finally:
            self._end()
        self._has_stopped()
        return self._last

    def traffic(self) -> Traffic:
        """Return the traffic counted so far. While the nodes work, each count is of the time of its read."""
        if self._last is not None:
            return self._last
        if self._timeline is None:
            raise TrafficError(NEVER_STARTED)
        return self._read()

    @property
    def running(self) -> bool:
        """Whether it counts now."""
        return self._timeline is not None

    def glance(self) -> Snapshot:
        """Return the numbers of a live picture, from the counts by book."""
        if self._last is not None:
            return of_traffic(self._last)
        counters = self._counters  # another thread may end the recording meanwhile
        if self._timeline is None or not counters:
            raise TrafficError(NEVER_STARTED)
        return of_counters(counters, self._lab.spec.books, self._transactions)

    def _end(self) -> None:
        if self._timeline is not None:
            self._timeline.stop()
            self._timeline = None
        for counters in self._counters.values():
            counters.set(recording=0, caching=0)
        nodes = [node for node in self._nodes if node.name in self._counters]
        try:
            self._lab.each(nodes, lambda node: stop_instrumenting(node, self._counters[node.name]))
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Close all files, and free their room in /dev/shm, which is the host's memory."""
        for counters in self._counters.values():
            counters.clear()
            counters.close()
        if self._order is not None:
            self._order.cancel()
            self._order = None
        if self._transactions is not None:
            self._transactions.close()
            self._transactions = None
        for ring in self._rings.values():
            ring.give_back()
            ring.close()
        self._counters, self._rings = {}, {}

    def _prepare(self, node: TargetNode) -> None:
        """Prepare a node to count, with every counter 0, and prove that it counts FAM."""
        counters = self._counters[node.name]
        counters.set(recording=0, caching=0, short_cut=0, fam_place=0, doubts=0)
        instrument(node, counters)
        by_block = addresses_blocks(self._lab.qemu_version)
        counters.set(base=node.domain.fam_address(with_block=by_block))
        self._prove(node)
        header = counters.header()
        # A QEMU that knows the physical address searches nothing, so it needs no short cut.
        if by_block and header["fam_place"] and not header["doubts"]:
            counters.set(short_cut=1)
            self._prove(node)
        counters.set(granule_shift=self._granule.bit_length() - 1)

    def _prove(self, node: TargetNode) -> None:
        """Prove that the counts of a known pattern are right, and reset them."""
        counters, at = self._counters[node.name], self._lab.fam.control.pattern
        counters.set(granule_shift=FINEST_GRANULE.bit_length() - 1)
        counters.clear()
        counters.set(timed=0, timed_ns=0, timing=int(self._felt is not None), recording=1)
        # A recording may begin within another job, and this is no step of that one.
        with job("recording", shown=False):
            node.probe("pattern", "--fam", "/dev/fam", "--offset", str(at))
        counters.set(recording=0, timing=0)
        check_pattern(node.name, counters, at)
        counters.clear()

    def _read(self, *, transactions: bool = True) -> Traffic:
        if self._timeline is None:
            raise TrafficError("this recording has ended without a result")
        tallies = {name: counters.granules(self._granule) for name, counters in self._counters.items()}
        counts, timeline = dataset(tallies, self._granule, self._lab.spec.fam_size), self._timeline.dataset()
        caches = None
        if transactions and self._transactions is not None:
            counts, caches = self._transactions.add_to(counts)
        else:
            timeline = timeline.drop_dims(["kind", "cause"], errors="ignore")
        for each in (counts, timeline):
            check_sums(each)
        return Traffic(
            counts=counts,
            timeline=timeline,
            spec=self._lab.spec.to_dict(),
            source=self.source,
            window=(0, self._lab.spec.fam_size - CONTROL_SIZE),
            manifest=self._manifest,
            ended=self._ended(),
            caches=caches,
        )

    def _ended(self) -> dict[str, str]:
        """Return the nodes that did not count to the end, and why."""
        ended = {}
        for node in self._nodes:
            if self._counters[node.name].is_replaced():
                ended[node.name] = "it was restarted, or its lab ended"
            elif (state := node.state) not in ("running", "paused"):
                ended[node.name] = f"its QEMU is {state}"
        return ended
