"""The copy of a tile of FAM, which a look compares with the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fame_lab.traffic.sampling.extents import Extent

__all__ = ["Offsets", "Tile"]

Offsets = npt.NDArray[np.int64]


@dataclass
class Tile:
    """A copy of one tile of FAM from the last look: its extents' bytes, as words laid end to end."""

    extents: list[Extent] = field(default_factory=list)
    words: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, "u8"))

    def offsets(self, positions: Offsets) -> Offsets:
        """Turn positions among the bytes laid end to end into offsets in FAM."""
        starts, stops = np.array(self.extents).T
        ends = np.cumsum(stops - starts)
        shifts: Offsets = (stops - ends)[np.searchsorted(ends, positions, side="right")]
        return positions + shifts

    def grown(self, extents: list[Extent]) -> tuple[Tile, Offsets]:
        """Copy the tile to other extents.

        Returns
        -------
        Tile
            It has zeroes where this one had a hole.
        ndarray
            Offsets of the words that were not zero and now lie in a hole.
        """
        tile = Tile(extents, np.zeros(sum(stop - start for start, stop in extents) // 8, "u8"))
        for mine, its in _overlaps(self.extents, extents):
            mine, its = _words(mine), _words(its)
            tile.words[its] = self.words[mine]
            self.words[mine] = 0
        lost = 8 * np.flatnonzero(self.words)
        return tile, self.offsets(lost) if lost.size else lost


def _overlaps(one: Sequence[Extent], other: Sequence[Extent]) -> Iterator[tuple[slice, slice]]:
    """Return the bytes that two lists of extents share, as slices of each list's bytes laid end to end.

    Examples
    --------
    >>> list(_overlaps([(0, 8), (16, 24)], [(4, 20)]))
    [(slice(4, 8, None), slice(0, 4, None)), (slice(8, 12, None), slice(12, 16, None))]
    """
    i = j = at_one = at_other = 0
    while i < len(one) and j < len(other):
        (a, b), (c, d) = one[i], other[j]
        start, stop = max(a, c), min(b, d)
        if start < stop:
            yield (
                slice(at_one + start - a, at_one + stop - a),
                slice(at_other + start - c, at_other + stop - c),
            )
        if b <= d:
            i, at_one = i + 1, at_one + b - a
        if d <= b:
            j, at_other = j + 1, at_other + d - c


def _words(part: slice) -> slice:
    return slice(part.start // 8, part.stop // 8)
