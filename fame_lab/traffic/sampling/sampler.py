"""Find what changes in FAM's file: look, look again, compare.

It is for labs without a trace. A look reads the file and compares it with the copy from the look before. So
it sees stores alone, neither loads nor authors. A value that was overwritten between two looks, or stored
unchanged, is invisible. Two stores between two looks are one change.

The file is read and never mapped: reading a hole of a mapping would fill it. A truncated mapping would end
this process with SIGBUS. The same bytes are both compared and kept, so no store gets lost between the two.
Holes are not read at all, so time and memory depend on the part in use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np

from fame_lab.core.file_io import read_into
from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import MIB, format_size, parse_size
from fame_lab.errors import SpecError, TrafficError
from fame_lab.host.fam import Fam
from fame_lab.spec.fam_layout import MAX_BOOK
from fame_lab.traffic.sampling.extents import PAGE, Extent, find_extents, holes_read_as_data, next_data
from fame_lab.traffic.sampling.tile import Offsets, Tile

__all__ = ["LINE", "Sampler"]

#: The smallest granule: a cache line.
LINE = 64

# Bytes read at once: they stay in a core's cache until they are compared.
_CHUNK = MIB
# Each aligned tile of FAM has a copy of its own, so that a new page moves little memory.
_TILE = 128 * MIB

_NONE: Offsets = np.zeros(0, np.int64)


class Sampler:
    """A reader that looks at FAM again and again, and returns the granules that changed.

    Parameters
    ----------
    fam : Fam
    window : (int or str, int or str), optional
        Offset and size of the part to read; by default all of FAM but the control area. Both are
        multiples of the granule, but for a window that ends where the control area begins.
    granule : int or str
        Bytes, a power of two from 64 to 8 MiB. Granules are counted from FAM's start.

    Raises
    ------
    SpecError
        If a parameter cannot be right. Also if no window is given and the file system reports holes as data
        (hugetlbfs).
    HostError
        If the file is not the lab's.

    Notes
    -----
    It keeps a copy of FAM's part in use. Two threads must not use it at a time.
    """

    def __init__(
        self, fam: Fam, *, window: tuple[int | str, int | str] | None = None, granule: int | str = PAGE
    ) -> None:
        self.granule = _check_granule(fam, granule)
        self.window = _check_window(fam, window, self.granule)
        self._fam = fam
        self._begin, self._end = self.window[0], sum(self.window)
        self._tiles: dict[int, Tile] = {}
        self._blocks = 0
        self._looked = False
        self._buffer = np.empty(_CHUNK // 8, "u8")
        self._bytes = self._buffer.data.cast("B")
        self._differs = np.empty(_CHUNK // 8, bool)
        self._file = fam.open_file()
        if window is None and holes_read_as_data(self._file.fileno()):
            self.close()
            raise SpecError(
                f"the file system of {fam.path} does not tell holes from data, so that all of its "
                f"{format_size(fam.size)} would be read",
                hint=f'name a window, such as (0, "{format_size(min(fam.size // 4, 64 << 20))}")',
            )

    def __enter__(self) -> Sampler:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and drop the copy."""
        self._file.close()
        self._tiles = {}

    @property
    def is_open(self) -> bool:
        """Whether the file is open."""
        return not self._file.closed

    @property
    def in_use(self) -> list[Extent]:
        """The extents that held data at the last look: first byte, and the one after the last."""
        return [extent for number in sorted(self._tiles) for extent in self._tiles[number].extents]

    def look(self) -> Offsets:
        """Look at the window.

        Returns
        -------
        ndarray of int64
            Offsets in FAM of the granules that changed since the last look, ascending; none at the first
            look. A hole reads as zeroes: to fill it with zeroes is no change.

        Raises
        ------
        TrafficError
            If the file was truncated or cannot be read. The changes of this look are lost then.
        """
        if self._file.closed:
            raise TrafficError("this sampler is closed", hint="make another")
        try:
            changed = self._look()
        except OSError as error:
            self._check_size()  # a truncated file has an error of its own
            raise TrafficError(f"cannot look at {self._fam.path}: {error.strerror}") from error
        first, self._looked = not self._looked, True
        return changed[:0] if first else changed

    def _look(self) -> Offsets:
        blocks = self._check_size()
        # Fewer blocks than before: somebody punched holes, and the copies of these can go.
        afresh, self._blocks = blocks < self._blocks, blocks
        numbers = sorted({*self._tiles_in_use(), *self._tiles})
        changes = [self._look_at(number, afresh=afresh) for number in numbers]
        self._check_size()
        return _once(np.concatenate([_NONE, *changes]))

    def _check_size(self) -> int:
        """Return the number of the file's blocks; raise TrafficError if it was truncated."""
        status = os.fstat(self._file.fileno())
        if status.st_size != self._fam.size:
            raise self._truncated(status.st_size)
        return status.st_blocks

    def _truncated(self, size: int) -> TrafficError:
        return TrafficError(
            f"{self._fam.path} was truncated while it was sampled: it ends at {size}, not {self._fam.size}; "
            "nodes that touch what is missing end, or hang under KVM, so stop the lab and start it anew"
        )

    def _tiles_in_use(self) -> Iterator[int]:
        at = self._begin
        while (at := next_data(self._file.fileno(), at, self._end)) < self._end:
            yield at // _TILE
            at = (at // _TILE + 1) * _TILE

    def _look_at(self, number: int, *, afresh: bool) -> Offsets:
        begin, end = max(self._begin, number * _TILE), min(self._end, (number + 1) * _TILE)
        tile = self._tiles.get(number, Tile())
        extents = find_extents(self._file.fileno(), begin, end, None if afresh else tile.extents)
        lost = _NONE
        if extents is not tile.extents and extents != tile.extents:
            tile, lost = tile.grown(extents)
        if extents:
            self._tiles[number] = tile
        else:
            self._tiles.pop(number, None)
        changed = self._compare(tile)
        return np.union1d(changed, lost & -self.granule) if lost.size else changed

    def _compare(self, tile: Tile) -> Offsets:
        """Read a tile, update its copy, and return the granules that changed."""
        # Extents are whole pages: the smaller of page and granule divides them.
        unit = min(self.granule, PAGE)
        changed = []
        at = 0
        for pieces in _chunks(tile.extents):
            size = self._read(pieces)
            new, old = self._buffer[: size // 8], tile.words[at // 8 : (at + size) // 8]
            differs = np.not_equal(new, old, out=self._differs[: size // 8])
            if differs.any():
                lines = differs.view("u8")  # eight words a line
                units = np.bitwise_or.reduce(lines.reshape(-1, unit // LINE), axis=1)
                changed.append(at + unit * np.flatnonzero(units))
                old[:] = new
            at += size
        return _once(tile.offsets(np.concatenate(changed)) & -self.granule) if changed else _NONE

    def _read(self, pieces: list[tuple[int, int]]) -> int:
        """Read pieces, each offset and size, to the buffer; return the number of bytes."""
        descriptor, view, preadv = self._file.fileno(), self._bytes, os.preadv
        filled = 0
        for offset, size in pieces:
            part = view[filled : filled + size]
            # There may be 262,144 pieces: the usual case calls no function of ours.
            if (count := preadv(descriptor, [part], offset)) != size:
                count += read_into(descriptor, part[count:], offset + count)
                if count != size:
                    raise self._truncated(offset + count)
            filled += size
        return filled


def _chunks(extents: Sequence[Extent]) -> Iterator[list[tuple[int, int]]]:
    """Cut extents into pieces, offset and size, and yield as many at a time as fill a chunk."""
    pieces: list[tuple[int, int]] = []
    room = _CHUNK
    for start, stop in extents:
        while (size := stop - start) >= room:
            pieces.append((start, room))
            start += room
            yield pieces
            pieces, room = [], _CHUNK
        if size:
            pieces.append((start, size))
            room -= size
    if pieces:
        yield pieces


def _once(ascending: Offsets) -> Offsets:
    """Drop repetitions."""
    is_first = np.ones(ascending.size, bool)
    np.not_equal(ascending[1:], ascending[:-1], out=is_first[1:])
    return ascending[is_first]


def _check_granule(fam: Fam, granule: int | str) -> int:
    size = parse_size(granule, "granule")
    most = min(MAX_BOOK, fam.size)
    if not LINE <= size <= most or size & (size - 1):
        raise SpecError(
            f"granule is {quoted(granule)}", hint=f"give a power of two from {LINE} to {most} bytes"
        )
    return size


def _check_window(fam: Fam, window: tuple[int | str, int | str] | None, granule: int) -> tuple[int, int]:
    room = fam.control.offset
    if window is None:
        return 0, room
    if not isinstance(window, tuple | list) or len(window) != 2:
        raise SpecError(f"window is {quoted(window)}", hint="give an offset in FAM and a size")
    offset, size = parse_size(window[0], "window's offset"), parse_size(window[1], "window's size")
    if offset < 0 or size <= 0 or offset + size > room:
        raise SpecError(
            f"window is {quoted(window)}",
            hint=f"give one inside FAM, of which {room} bytes are before the control area",
        )
    if offset % granule or (size % granule and offset + size != room):
        raise SpecError(f"window is {quoted(window)}", hint=f"give multiples of the granule, {granule}")
    return offset, size
