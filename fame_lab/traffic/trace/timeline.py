"""Counts over time: a thread that looks at each node's counts by book, again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from fame_lab.errors import FameError, TrafficError
from fame_lab.spec.fam_layout import ControlArea
from fame_lab.traffic.transactions.dataset import GROUPS
from fame_lab.traffic.transactions.layout import CAUSES, KINDS

if TYPE_CHECKING:
    from fame_lab.spec.lab_spec import LabSpec
    from fame_lab.traffic.trace.counters import Counters
    from fame_lab.traffic.transactions.counting import TransactionCounts

__all__ = ["Timeline"]

_MAX_ROWS = 1200
_MAX_BYTES = 64 << 20
#: What is looked at in each node, in this order: accesses and bytes, and with a cache the transactions.
_ACCESSES = ("loads", "stores", "load_bytes", "store_bytes")
_TRANSACTIONS = (*KINDS, *CAUSES)

Rows = npt.NDArray[np.uint64]


class Timeline:
    """The increments of the counters between looks.

    Beyond a fixed number of looks, each two neighbours become one, so it stays small.

    Parameters
    ----------
    spec : LabSpec
    counters : mapping of str to Counters
        By the node's name.
    interval : float
        Seconds from look to look.
    transactions : TransactionCounts, optional
        They are looked at, too.
    """

    def __init__(
        self,
        spec: LabSpec,
        counters: Mapping[str, Counters],
        interval: float,
        transactions: TransactionCounts | None = None,
    ) -> None:
        self._counters = counters
        self._transactions = transactions
        self._interval = interval
        # A bin a book, so that each has one home. Books inside the control area have none.
        self._bin = spec.books.book
        self._bins = -(-ControlArea(spec.fam_size).offset // self._bin)
        self._fields = _ACCESSES if transactions is None else (*_ACCESSES, *_TRANSACTIONS)
        look = 8 * len(self._fields) * len(counters) * self._bins
        self._most = max(2, min(_MAX_ROWS, _MAX_BYTES // look))
        self._times: list[float] = []
        self._rows: list[Rows] = []
        self._totals = self._look()
        self._error: FameError | None = None
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"record-{spec.name}", daemon=True)
        self._start_time = time.monotonic()

    def start(self) -> None:
        """Start to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look once more, and stop. Safe to repeat."""
        if self._ending.is_set():
            return
        self._ending.set()
        self._thread.join()

    def dataset(self) -> xr.Dataset:
        """Return the increments so far.

        Raises
        ------
        TrafficError
            If a count fell, or a counter file was truncated.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            nodes = list(self._counters)
            shape = (len(self._rows), len(self._fields), len(nodes), self._bins)
            rows = np.stack(self._rows) if self._rows else np.zeros(shape, np.uint64)
            times = np.array(self._times, float)
        dims = ("time", "op", "node", "bin")
        dataset = xr.Dataset(
            {
                "accesses": (dims, rows[:, :2], {"long_name": "accesses since the look before"}),
                "bytes": (dims, rows[:, 2:4], {"units": "B", "long_name": "bytes since the look before"}),
            },
            coords={
                "time": ("time", times, {"units": "s", "long_name": "time since the start"}),
                "op": ["load", "store"],
                "node": nodes,
                "bin": (
                    "bin",
                    np.arange(self._bins) * self._bin,
                    {"units": "B", "long_name": "offset in FAM"},
                ),
            },
            attrs={"bin": self._bin},
        )
        first = len(_ACCESSES)
        for name, (dimension, labels) in GROUPS.items() if self._transactions is not None else ():
            values = rows[:, first : first + len(labels)]
            dataset[name] = (
                ("time", dimension, "node", "bin"),
                values,
                {"long_name": f"{name} since the look before"},
            )
            dataset = dataset.assign_coords({dimension: list(labels)})
            first += len(labels)
        return dataset

    def _work(self) -> None:
        ended = False
        while not ended:
            ended = self._ending.wait(self._interval)
            try:
                now, totals = time.monotonic() - self._start_time, self._look()
                if (totals < self._totals).any():
                    raise TrafficError("counts fell: something else writes to the counter files")
            except FameError as error:
                with self._lock:
                    self._error = error
                return
            with self._lock:
                self._times.append(now)
                self._rows.append(totals - self._totals)
                self._thin()
            self._totals = totals

    def _look(self) -> Rows:
        """Read the totals (field, node, bin)."""
        totals = np.empty((len(self._fields), len(self._counters), self._bins), np.uint64)
        for node, counters in enumerate(self._counters.values()):
            books = counters.books()
            for at, field in enumerate(_ACCESSES):
                totals[at, node] = books[field][: self._bins]
        if self._transactions is not None:
            self._transactions.release_dead()
            by_book = self._transactions.books()
            for at, field in enumerate(_TRANSACTIONS, start=len(_ACCESSES)):
                totals[at] = by_book[field][:, : self._bins]
        return totals

    def _thin(self) -> None:
        if len(self._rows) <= self._most:
            return
        last = len(self._rows) // 2 * 2
        pairs = [a + b for a, b in zip(self._rows[:last:2], self._rows[1:last:2], strict=True)]
        self._rows = pairs + self._rows[last:]
        self._times = self._times[1:last:2] + self._times[last:]
        self._interval *= 2
