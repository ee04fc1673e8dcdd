"""Counts by offset, kept for the offsets that occur: FAM may have 2^33 lines."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["ChangeCounts", "ChangeTimeline"]

Offsets = npt.NDArray[np.int64]
Counts = npt.NDArray[np.uint64]


def _no_offsets() -> Offsets:
    return np.zeros(0, np.int64)


@dataclass
class ChangeCounts:
    """The number of times that each offset occurred.

    Attributes
    ----------
    offsets : ndarray of int64
        Ascending.
    counts : ndarray of uint64
        One for each offset.

    Examples
    --------
    >>> changes = ChangeCounts()
    >>> changes.add(np.array([0, 64]))
    >>> changes.add(np.array([64, 256]))
    >>> changes.offsets.tolist(), changes.counts.tolist(), changes.at(np.array([64, 128])).tolist()
    ([0, 64, 256], [1, 2, 1], [2, 0])
    """

    offsets: Offsets = field(default_factory=_no_offsets)
    counts: Counts = field(default_factory=lambda: np.zeros(0, "u8"))

    def add(self, offsets: Offsets) -> None:
        """Count each of these offsets once. They must ascend, without repetition."""
        if not self._has(offsets).all():
            union = np.union1d(self.offsets, offsets)
            self.offsets, self.counts = union, self.at(union)
        self.counts[np.searchsorted(self.offsets, offsets)] += np.uint64(1)

    def at(self, offsets: Offsets) -> Counts:
        """Return the counts of these offsets, 0 for one that never occurred."""
        counts = np.zeros(offsets.size, "u8")
        present = self._has(offsets)
        counts[present] = self.counts[np.searchsorted(self.offsets, offsets[present])]
        return counts

    def _has(self, offsets: Offsets) -> npt.NDArray[np.bool_]:
        places = np.searchsorted(self.offsets, offsets)
        present = places < self.offsets.size
        present[present] = self.offsets[places[present]] == offsets[present]
        return present


class ChangeTimeline:
    """The number of offsets of each bin that occurred in each interval of time.

    Parameters
    ----------
    bin_size : int
        Bytes of a bin.
    rows : int
        The most intervals to keep. Beyond it each two neighbours become one: a recording of a day takes no
        more room than one of minutes.

    Examples
    --------
    >>> timeline = ChangeTimeline(1024)
    >>> timeline.add(0.1, np.array([0, 64, 2048]))
    >>> timeline.add(0.2, np.array([64]))
    >>> times, bins, counts = timeline.table()
    >>> times.tolist(), bins.tolist(), counts.tolist()
    ([0.1, 0.2], [0, 2048], [[2, 1], [1, 0]])
    """

    def __init__(self, bin_size: int, rows: int = 4096) -> None:
        self._bin = bin_size
        self._most = rows
        self._rows: list[tuple[float, Offsets, Counts]] = []

    def add(self, time: float, offsets: Offsets) -> None:
        """Add the interval that ended at `time`, in seconds."""
        bins, counts = np.unique(offsets // self._bin * self._bin, return_counts=True)
        self._rows.append((time, bins, counts.astype("u8")))
        if len(self._rows) > self._most:
            self._rows = [_merged(self._rows[i : i + 2]) for i in range(0, len(self._rows), 2)]

    def table(self) -> tuple[npt.NDArray[np.float64], Offsets, Counts]:
        """Return the ends of the intervals, the bins that are not empty, and counts (time, bin)."""
        bins = np.unique(np.concatenate([_no_offsets(), *(row[1] for row in self._rows)]))
        counts = np.zeros((len(self._rows), bins.size), "u8")
        for number, (_, row_bins, row_counts) in enumerate(self._rows):
            counts[number, np.searchsorted(bins, row_bins)] = row_counts
        return np.array([row[0] for row in self._rows], float), bins, counts


def _merged(rows: list[tuple[float, Offsets, Counts]]) -> tuple[float, Offsets, Counts]:
    bins, which = np.unique(np.concatenate([row[1] for row in rows]), return_inverse=True)
    counts = np.zeros(bins.size, "u8")
    np.add.at(counts, which, np.concatenate([row[2] for row in rows]))
    return rows[-1][0], bins, counts
