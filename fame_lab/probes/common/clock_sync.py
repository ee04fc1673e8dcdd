"""Bounds on guests' clocks, taken through FAM: the delay of SSH would be the error.

The host stores a question in a word of the node's; the node loads it, reads its clock and stores both in
one word; the host finds its question answered. So the guest's reading lies between two of the host's,
whatever was preempted meanwhile, as in Cristian's method (Probabilistic clock synchronization, 1989). Two
such intervals far apart bound the ratio of the clocks, for neither is slewed by any daemon.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fame_lab.errors import HostError, ProbeError
from fame_lab.host.fam_words import FamWords

if TYPE_CHECKING:
    from fame_lab.host.target import TargetLab, TargetNode
__all__ = ["READINGS", "ClockSync", "Readings"]

#: Seconds between two rounds of questions. A thread that sleeps leaves the CPU to the guests, and runs as
#: soon as it wakes. One that spins waits its turn behind them when cores are few.
_NAP_S = 0.0002
#: An answer is the guest's time since it began, in ns, and the question's number in this many low bits. No
#: number comes twice: a guest that was stopped with an answer in hand would give it to a later question.
_NUMBER_BITS = 24
_NUMBERS = 1 << _NUMBER_BITS
#: Looks for an answer, some microseconds. A guest that has a core answers in less than one.
_LOOKS = 60
#: Equal parts of the time. Of each, the closest reading is kept.
READINGS = 100
#: Questions in a row to a guest that answers: the first finds cold caches.
_IN_A_ROW = 5


@dataclass(frozen=True)
class Readings:
    """A guest's clock, each reading between two of the host's.

    Parameters
    ----------
    node : str
    before, guest, after : ndarray of shape (reading,)
        Nanoseconds of the raw monotonic clocks: host, guest, host.
    """

    node: str
    before: npt.NDArray[np.int64]
    guest: npt.NDArray[np.int64]
    after: npt.NDArray[np.int64]

    def narrowest(self, bins: int) -> Readings:
        """Return the reading with the shortest interval of each of `bins` equal parts of the time."""
        if not self.guest.size:
            return self
        part = (self.after - self.after[0]) * bins // (self.after[-1] - self.after[0] + 1)
        order = np.lexsort((self.after - self.before, part))
        _, first = np.unique(part[order], return_index=True)
        closest = order[first]
        return Readings(self.node, self.before[closest], self.guest[closest], self.after[closest])

    def ratio(self) -> tuple[float, float, float]:
        """Return how fast the guest's clock runs, in nanoseconds of its own for one of the host's.

        Returns
        -------
        ratio, low, high : float
            The last two bound the first, unless one of the clocks changed its speed meanwhile.

        Raises
        ------
        ProbeError
            If no two readings are far enough apart to bound it, or the guest's clock did not go forward.
        """
        if self.guest.size < 2:
            raise ProbeError(
                f"{self.node} answered {self.guest.size} questions of the host, too few to know its clock by"
            )
        # Every two readings bound it: those bound it best whose shortest time is nearest to the longest.
        shortest = self.before[:, None] - self.after
        longest = self.after[:, None] - self.before
        worth = np.zeros(shortest.shape)
        np.divide(shortest, longest, out=worth, where=shortest > 0)
        later, first = np.unravel_index(np.argmax(worth), worth.shape)
        low, high = int(shortest[later, first]), int(longest[later, first])
        guest = int(self.guest[later] - self.guest[first])
        if low <= high / 2:
            raise ProbeError(
                f"{self.node} answered too slowly: the time between two answers was {low} to {high} ns, "
                "which tells too little of its clock"
            )
        if guest <= 0:
            raise ProbeError(f"{self.node}'s clock went {guest} ns in {low} to {high} of the host's")
        return 2 * guest / (low + high), guest / high, guest / low


@dataclass
class _ClockQuery:
    """The questions to one node: where they stand in FAM, and the readings."""

    name: str
    question: int
    answer: int
    number: int = 0
    before: int = 0
    readings: list[tuple[int, int, int]] = field(default_factory=list)


class ClockSync:
    """Asks nodes for their clocks, between entering and leaving, in a thread of its own.

    One thread asks them all: several would take turns of milliseconds, by Python's own lock.

    Parameters
    ----------
    lab : Lab
    nodes : sequence of Node
        They run the program's ``timer`` meanwhile.
    """

    def __init__(self, lab: TargetLab, nodes: Sequence[TargetNode]) -> None:
        control = lab.fam.control
        self._words = FamWords(lab.fam)
        self._failed: HostError | None = None
        self._queries = [
            _ClockQuery(node.name, control.question(node.index), control.answer(node.index)) for node in nodes
        ]
        for query in self._queries:
            # No question is numbered 0, so that this is no answer.
            self._words.store(query.question, 0)
            self._words.store(query.answer, 0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="clock-watch", daemon=True)

    def __enter__(self) -> ClockSync:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._words.close()

    def readings(self) -> dict[str, Readings]:
        """Return up to :data:`READINGS` readings of each node, by its name, once it is over.

        Raises
        ------
        HostError
            If FAM's file was truncated meanwhile.
        """
        if self._failed is not None:
            raise self._failed
        columns = {each.name: np.array(each.readings, np.int64).reshape(-1, 3).T for each in self._queries}
        return {name: Readings(name, *times).narrowest(READINGS) for name, times in columns.items()}

    def _work(self) -> None:
        try:
            self._ask()
        except HostError as error:
            self._failed = error

    def _ask(self) -> None:
        # A guest on this thread's core cannot answer while the thread looks: it asks from each core in turn.
        for core in itertools.cycle(os.sched_getaffinity(0)):
            if self._over.is_set():
                return
            os.sched_setaffinity(0, {core})
            for query in self._queries:
                self._look(query, 1)  # an answer may have come meanwhile
                for _ in range(_IN_A_ROW):
                    if query.number + 1 == _NUMBERS:
                        return
                    query.number += 1
                    query.before = _now()
                    self._words.store(query.question, query.number)
                    is_ready = self._words.load(query.answer) != 0
                    if not self._look(query, _LOOKS if is_ready else 1):
                        break
            time.sleep(_NAP_S)

    def _look(self, query: _ClockQuery, looks: int) -> bool:
        """Return whether the last question is answered now; add its reading."""
        for _ in range(looks):
            answer = self._words.load(query.answer)
            if answer % _NUMBERS == query.number and query.before:
                query.readings.append((query.before, answer >> _NUMBER_BITS, _now()))
                query.before = 0
                return True
        return False


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
