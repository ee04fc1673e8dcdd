"""The line directory of a lab: created, set and read here, changed by ``plugin/cache.c`` of every node.

Whatever is read is checked. What nobody touched is a hole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fame_lab.core.file_io import write_at
from fame_lab.errors import TrafficError
from fame_lab.traffic.sampling.extents import find_extents
from fame_lab.traffic.shared_file import HEADER_SIZE, SharedFile
from fame_lab.traffic.transactions.cache import LINE, Cache
from fame_lab.traffic.transactions.felt import FeltFabric
from fame_lab.traffic.transactions.layout import (
    COUNTS,
    LOSS,
    MAGIC,
    PLACES,
    RECORD,
    TOTALS,
    VERSION,
    DirectoryLayout,
)

__all__ = ["HeldLines", "LineDirectory"]

_MAX_AT_ONCE = 1 << 22
_STATE_SHIFT, _TAKER_SHIFT, _END_SHIFT = np.uint64(40), np.uint64(42), np.uint64(48)
_SHARED, _EXCLUSIVE, _MODIFIED = 1, 2, 3
_ONE = np.uint64(1)

Records = npt.NDArray[Any]


@dataclass(frozen=True)
class HeldLines:
    """The lines in a node's cache.

    Parameters
    ----------
    lines : ndarray of int64, shape (n,)
        Numbers of lines, ascending.
    bytes : ndarray of uint64, shape (n,)
        A bit for each byte that the node accessed since it had the line.
    records : ndarray of RECORD, shape (n,)
        Of each line.
    stored : ndarray of bool, shape (n,)
        Whether the node stored to it since it had it.
    """

    lines: npt.NDArray[np.int64]
    bytes: npt.NDArray[np.uint64]
    records: Records
    stored: npt.NDArray[np.bool_]

    def held(self, node: int) -> npt.NDArray[np.bool_]:
        """Return which of them node number `node`, from 0, still has, by the directory."""
        return (self.records["holders"] >> np.uint64(node) & _ONE).astype(bool)

    @property
    def modified(self) -> npt.NDArray[np.bool_]:
        """Which of them their owner changed, by the directory."""
        modified: npt.NDArray[np.bool_] = self.records["holders"] >> _STATE_SHIFT & np.uint64(3) == _MODIFIED
        return modified

    @property
    def takers(self) -> npt.NDArray[np.uint64]:
        """The node that last took each line from others."""
        return self.records["holders"] >> _TAKER_SHIFT & np.uint64(63)


class LineDirectory(SharedFile[DirectoryLayout]):
    """A lab's open line directory.

    Parameters
    ----------
    path : Path
    layout : DirectoryLayout

    Raises
    ------
    TrafficError
        If the file is missing, short, or of another version or lab.
    """

    NAME, MAGIC, VERSION, PLACES = "line directory", MAGIC, VERSION, PLACES

    def begin(self, cache: Cache, granule: int, felt: FeltFabric | None = None) -> None:
        """Set the cache of each node, empty, and every count to 0; with `felt`, misses wait.

        Nobody may be counting meanwhile.
        """
        self.clear()
        self.set(
            sets=cache.sets, ways=cache.ways, granule_shift=granule.bit_length() - 1,
            hardware=cache.coherence == "hardware", memory_atomics=cache.atomics == "memory",
            alive=(1 << self.layout.nodes) - 1, waits=felt is not None,
        )  # fmt: skip
        if felt is not None:
            write_at(self._file.fileno(), felt.figures(self.layout.nodes).tobytes(), HEADER_SIZE)

    def release(self, node: int) -> None:
        """Take its lines from a node that died; the others see that at once."""
        self.set(alive=self.header()["alive"] & ~(1 << node))

    def books(self, node: int) -> Records:
        """Read a node's counts by book: ndarray of COUNTS, shape (books,)."""
        start = self.layout.node_at(node) + self.layout.books_at
        length = self.layout.books * COUNTS.itemsize
        counts = np.zeros(self.layout.books, COUNTS)
        for begin, part in self._pieces(start, length, COUNTS.itemsize):
            counts[begin : begin + len(part) // COUNTS.itemsize] = np.frombuffer(part, COUNTS)
        return counts

    def granules(self, node: int, granule: int) -> tuple[npt.NDArray[np.int64], Records]:
        """Read a node's counts by granule.

        Parameters
        ----------
        node : int
            From 0.
        granule : int
            Bytes of one, as given to :meth:`begin`.

        Returns
        -------
        numbers : ndarray of int64, shape (n,)
            Ascending, of granules with any count.
        counts : ndarray of COUNTS, shape (n,)
        """
        start = self.layout.node_at(node) + self.layout.granules_at
        return self._touched(start, -(-self.layout.user_size // granule), COUNTS)

    def losses(self, node: int) -> tuple[npt.NDArray[np.int64], Records]:
        """Read what a node noticed to have lost: numbers of lines, ascending, and an ndarray of LOSS."""
        return self._touched(self.layout.node_at(node) + self.layout.losses_at, self.layout.lines, LOSS)

    def totals(self, node: int) -> Any:
        """Read a node's totals, of type TOTALS. Raise TrafficError if one is more than can be counted."""
        content = self._read(self.layout.node_at(node), TOTALS.itemsize)
        if (np.frombuffer(content, "<u8") >> np.uint64(62)).any():
            raise TrafficError(f"{self.path}: a total of node {node + 1} is more than can be counted")
        return np.frombuffer(content, TOTALS)[0]

    def held(self, node: int, cache: Cache) -> HeldLines:
        """Read the lines in a node's cache; some of them it may have lost and not noticed.

        Raises
        ------
        TrafficError
            If a line or its record cannot be.
        """
        set_size = cache.ways * 4
        lines, loaded, stored = [], [], []
        start, length = self.layout.node_at(node) + self.layout.ways_at, cache.sets * set_size * 8
        for first, part in self._pieces(start, length, set_size * 8):
            ways = np.frombuffer(part, "<u8").reshape(-1, 4, cache.ways)
            sets, way = np.nonzero(ways[:, 0])
            found = ways[sets, 0, way] - _ONE
            if (found >= self.layout.lines).any() or (found % np.uint64(cache.sets) != sets + first).any():
                raise TrafficError(f"{self.path}: node {node + 1}'s cache has a line that cannot be in it")
            lines.append(found.astype("i8"))
            loaded.append(ways[sets, 1, way])
            stored.append(ways[sets, 2, way])
        numbers = np.concatenate([np.zeros(0, "i8"), *lines])
        order = np.argsort(numbers, kind="stable")
        loads, stores = (np.concatenate([np.zeros(0, "u8"), *each])[order] for each in (loaded, stored))
        return HeldLines(numbers[order], loads | stores, self._records(numbers[order]), stores != 0)

    def _records(self, lines: npt.NDArray[np.int64]) -> Records:
        records = np.zeros(len(lines), RECORD)
        per_part = _MAX_AT_ONCE // RECORD.itemsize
        for part in np.unique(lines // per_part):
            inside = slice(*np.searchsorted(lines, [part * per_part, (part + 1) * per_part]))
            first, last = int(lines[inside][0]), int(lines[inside][-1])
            content = self._read(
                self.layout.lines_at + first * RECORD.itemsize, (last - first + 1) * RECORD.itemsize
            )
            records[inside] = np.frombuffer(content, RECORD)[lines[inside] - first]
        self._check_records(lines, records)
        return records

    def _check_records(self, lines: npt.NDArray[np.int64], records: Records) -> None:
        """Raise TrafficError if a record cannot be: an owner beside others, a state without a holder, ..."""
        words = records["holders"]
        state = words >> _STATE_SHIFT & np.uint64(3)
        holders = words & ((_ONE << _STATE_SHIFT) - _ONE)
        owned = (state == _EXCLUSIVE) | (state == _MODIFIED)
        wrong = (words >> _END_SHIFT != 0) | (holders >> np.uint64(self.layout.nodes) != 0)
        wrong |= (words >> _TAKER_SHIFT & np.uint64(63)) >= self.layout.nodes
        wrong |= owned & ((holders & (holders - _ONE)) != 0) | ((holders == 0) != (state == 0))
        if wrong.any():
            line = int(lines[wrong][0])
            raise TrafficError(
                f"{self.path}: the record of the line at {line * LINE:#x} cannot be: "
                f"{int(words[wrong][0]):#x}"
            )

    def _touched(self, start: int, count: int, kind: np.dtype[Any]) -> tuple[npt.NDArray[np.int64], Records]:
        """Read those of `count` items from `start` on that are not all zero."""
        numbers, items = [np.zeros(0, "i8")], [np.zeros(0, kind)]
        for first, content in self._pieces(start, count * kind.itemsize, kind.itemsize):
            part = np.frombuffer(content, kind)
            touched = np.flatnonzero(np.frombuffer(content, "<u8").reshape(len(part), -1).any(axis=1))
            numbers.append(touched + first)
            items.append(part[touched])
        return np.concatenate(numbers), np.concatenate(items)

    def _pieces(self, start: int, length: int, item: int) -> Iterator[tuple[int, bytes]]:
        """Read what is no hole, as whole items: the number of each piece's first one, and its content."""
        most = max(1, _MAX_AT_ONCE // item)
        after = 0
        try:
            extents = find_extents(self._file.fileno(), start, start + length)
        except OSError as error:  # it is cut short at this moment
            raise TrafficError(f"cannot read {self.path}: {error.strerror}") from error
        for begin, end in extents:
            first, stop = max(after, (begin - start) // item), -(-(end - start) // item)
            for number in range(first, stop, most):
                count = min(most, stop - number)
                yield number, self._read(start + number * item, count * item)
            after = max(after, stop)
        self._check_size()  # what lies beyond the end of a file looks like a hole
