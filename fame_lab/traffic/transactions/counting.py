"""Transactions of all nodes of a lab, counted while a recording runs."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from fame_lab.errors import TrafficError
from fame_lab.traffic.transactions.dataset import caches_dataset, with_transactions
from fame_lab.traffic.transactions.layout import COUNTS

if TYPE_CHECKING:
    import xarray as xr

    from fame_lab.traffic.trace.counters import Counters
    from fame_lab.traffic.transactions.cache import Cache
    from fame_lab.traffic.transactions.directory import LineDirectory, Records
    from fame_lab.traffic.transactions.felt import FeltFabric

__all__ = ["TransactionCounts", "felt_manifest"]


class TransactionCounts:
    """The counts of transactions of a running recording.

    Parameters
    ----------
    directory : LineDirectory
        It is closed at the end.
    cache : Cache
        Of each node.
    granule : int
        Bytes.
    counters : mapping of str to Counters
        By the node's name, in order; of each node that is ready to count.
    felt : FeltFabric, optional
        By which misses wait.
    """

    def __init__(
        self,
        directory: LineDirectory,
        cache: Cache,
        granule: int,
        counters: Mapping[str, Counters],
        felt: FeltFabric | None = None,
    ) -> None:
        self.cache = cache
        self._directory, self._granule, self._counters = directory, granule, dict(counters)
        self._gone: set[int] = set()
        #: What is wrong with the directory, if anything: the counts of accesses do not depend on it.
        self.error: TrafficError | None = None
        self._books = np.zeros((len(self._counters), directory.layout.books), COUNTS)
        directory.begin(cache, granule, felt)
        for each in self._counters.values():
            each.set(caching=1)

    def release_dead(self) -> None:
        """Take their lines from nodes that died or were restarted."""
        for node, counters in enumerate(self._counters.values()):
            if node not in self._gone and (counters.is_replaced() or not _runs(counters.header()["pid"])):
                self._gone.add(node)
                self._directory.release(node)

    def books(self) -> Records:
        """Read the counts by book: ndarray of COUNTS, shape (nodes, books); the last ones after an error."""
        try:
            if self.error is None:
                self._books = np.array([self._directory.books(node) for node in range(len(self._counters))])
        except TrafficError as error:
            self.error = error
        return self._books

    def add_to(self, counts: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
        """Read all counts so far.

        Parameters
        ----------
        counts : Dataset
            Of accesses, over (op, node, granule).

        Returns
        -------
        counts : Dataset
            With those of transactions and misses; see
            :func:`fame_lab.traffic.transactions.dataset.with_transactions`.
        caches : Dataset
            What each cache lost and holds; see :func:`fame_lab.traffic.transactions.dataset.caches_dataset`.

        Raises
        ------
        TrafficError
            If the directory holds what cannot be.
        """
        if self.error is not None:
            raise self.error
        self.release_dead()
        names = tuple(self._counters)
        by_node = {name: self._directory.granules(node, self._granule) for node, name in enumerate(names)}
        return (
            with_transactions(counts, by_node, self._granule),
            caches_dataset(self._directory, self.cache, names, self._gone),
        )

    def close(self) -> None:
        """Free the room of all counts, once nobody counts."""
        self._directory.clear()
        self._directory.close()


def felt_manifest(felt: FeltFabric | None, counters: Mapping[str, Counters]) -> dict[str, Any]:
    """Return what a manifest says of a fabric that is felt.

    Parameters
    ----------
    felt : FeltFabric, optional
    counters : mapping of str to Counters
        Of all nodes, with the time that the accesses of their proof took.

    Returns
    -------
    dict
        Empty without a fabric. Else ``felt``, the label of the numbers, and ``felt_fabric``: its figures, the
        nanoseconds that an access takes in this emulator, and the number of processors.

    Raises
    ------
    SpecError
        If the dilation is too small to be felt.
    """
    if felt is None:
        return {}
    headers = [each.header() for each in counters.values()]
    access_ns = statistics.median(each["timed_ns"] / max(1, each["timed"]) for each in headers)
    felt.check_felt(len(headers), access_ns)
    cores = len(os.sched_getaffinity(0))
    return {
        "felt": felt.describe(),
        "felt_fabric": felt.to_dict() | {"access_ns": round(access_ns), "cores": cores},
    }


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError, OverflowError):  # nothing that QEMU wrote is sure
        return False
