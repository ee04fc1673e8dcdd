"""The extents of a sparse file that hold data, found without touching a hole.

The kernel knows (``SEEK_DATA``, ``SEEK_HOLE``); asking it allocates nothing and costs by the piece, not
by the file's size.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator, Sequence

from fame_lab.errors import TrafficError

__all__ = ["PAGE", "Extent", "find_extents", "holes_read_as_data", "next_data", "overlaps", "punch"]

#: Extents begin and end at multiples of this, in bytes.
PAGE = 4096

#: First byte, and the one after the last.
Extent = tuple[int, int]

_NEAR = 32 << 10
_HUGETLBFS = 0x958458F6


def next_data(descriptor: int, offset: int, end: int) -> int:
    """Return the first byte of data from `offset` on, or `end` if there is none before it."""
    try:
        return min(os.lseek(descriptor, offset, os.SEEK_DATA), end)
    except OSError as error:
        if error.errno != errno.ENXIO:  # which means: none up to the end of the file
            raise
        return end


def find_extents(descriptor: int, begin: int, end: int, known: list[Extent] | None = None) -> list[Extent]:
    """Find what holds data from `begin` to `end`, and keep what is known to have held some.

    Parameters
    ----------
    descriptor : int
        Of the file. Its position moves.
    begin, end : int
        Bytes from its start.
    known : list of (int, int), optional
        What was found there earlier. It is taken as it is, and only the gaps between are looked at, for
        half the system calls; a hole that was made in one reads as zeroes.

    Returns
    -------
    list of (int, int)
        Ascending, whole pages but for `begin` and `end`. Pieces with less than 32 KiB between them are one,
        because to read so many zeroes is quicker than to read twice. `known` itself if there is no more.
    """
    if known and _still_all(descriptor, begin, end, known):
        return known
    found: list[Extent] = []
    at = begin
    for start, stop in (*(known or ()), (end, end)):
        while at < start and (data := next_data(descriptor, at, start)) < start:
            hole = min(_next_hole(descriptor, data), start)
            _append(found, max(data & -PAGE, at), hole)
            at = hole
        _append(found, start, stop)
        at = stop
    return found


def _still_all(descriptor: int, begin: int, end: int, known: list[Extent]) -> bool:
    """Return whether all between `known` are holes; a quick no may be wrong."""
    # There may be 262,144 of them: nothing here that could be left out.
    lseek, seek_data = os.lseek, os.SEEK_DATA
    at = begin
    try:
        for start, stop in known:
            if lseek(descriptor, at, seek_data) < start:
                return False
            at = stop
        return lseek(descriptor, at, seek_data) >= end
    except OSError:
        return False


def _next_hole(descriptor: int, offset: int) -> int:
    """Return the end of the data at `offset`, as whole pages."""
    return -(-os.lseek(descriptor, offset, os.SEEK_HOLE) // PAGE) * PAGE


def _append(found: list[Extent], start: int, stop: int) -> None:
    if start >= stop:  # the end, or a hole punched between two questions
        return
    if found and start - found[-1][1] < _NEAR:
        found[-1] = (found[-1][0], stop)
    else:
        found.append((start, stop))


def overlaps(one: Sequence[Extent], other: Sequence[Extent]) -> Iterator[tuple[slice, slice]]:
    """Return what two lists of extents have in common, as slices of each one's bytes laid end to end.

    Examples
    --------
    >>> list(overlaps([(0, 8), (16, 24)], [(4, 20)]))
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


def punch(descriptor: int, offset: int, length: int) -> None:
    """Make a hole: what was there reads as zeroes, and its room is free. The file's size stays.

    Raises
    ------
    TrafficError
        If the file's system cannot.
    """
    # Python has no fallocate with a mode.
    libc = ctypes.CDLL(None, use_errno=True)
    keep_size, punch_hole = 1, 2
    if libc.fallocate(descriptor, keep_size | punch_hole, ctypes.c_long(offset), ctypes.c_long(length)):
        raise TrafficError(f"cannot make a hole: {os.strerror(ctypes.get_errno())}")


def holes_read_as_data(descriptor: int) -> bool:
    """Return whether the file's system does not tell holes from data, as hugetlbfs does not.

    Its files are one piece of data, however few of their bytes are allocated.
    """
    status = os.fstat(descriptor)
    if _file_system(descriptor) == _HUGETLBFS:
        return True
    if status.st_blocks * 512 >= status.st_size:
        return False
    return next_data(descriptor, 0, status.st_size) == 0 and _next_hole(descriptor, 0) >= status.st_size


def _file_system(descriptor: int) -> int:
    """Return the f_type of statfs(2), which Python's statvfs leaves out."""
    libc = ctypes.CDLL(None, use_errno=True)
    told = (ctypes.c_long * 64)()  # f_type is its first member; no system's struct is that long
    if libc.fstatfs(descriptor, told):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return told[0] & 0xFFFFFFFF
