"""The extents of a sparse file that hold data, found without touching a hole.

The kernel knows (``SEEK_DATA``, ``SEEK_HOLE``); asking it allocates nothing and costs by the piece, not
by the file's size.
"""

from __future__ import annotations

import ctypes
import errno
import os

from fame_lab.errors import TrafficError

__all__ = ["PAGE", "Extent", "find_extents", "holes_read_as_data", "next_data", "punch"]

#: Extents begin and end at multiples of this, in bytes.
PAGE = 4096

#: First byte, and the one after the last.
Extent = tuple[int, int]

_NEAR = 32 << 10
_HUGETLBFS = 0x958458F6


def next_data(descriptor: int, offset: int, end: int) -> int:
    """Return the offset of the first data from `offset` on, or `end` if there is none before it."""
    try:
        return min(os.lseek(descriptor, offset, os.SEEK_DATA), end)
    except OSError as error:
        if error.errno != errno.ENXIO:  # no data up to the end of the file
            raise
        return end


def find_extents(descriptor: int, begin: int, end: int, previous: list[Extent] | None = None) -> list[Extent]:
    """Find the extents that hold data from `begin` to `end`.

    Parameters
    ----------
    descriptor : int
        An open file. Its position moves.
    begin, end : int
        Bytes from its start.
    previous : list of (int, int), optional
        The extents of an earlier call. They stay, and only the gaps between them are searched, for half the
        system calls. A hole that was punched into one meanwhile reads as zeroes.

    Returns
    -------
    list of (int, int)
        Ascending, whole pages but for `begin` and `end`. Extents less than 32 KiB apart are joined: to read
        so many zeroes is quicker than to read twice. It is `previous` itself if there is nothing new.
    """
    if previous and _still_all(descriptor, begin, end, previous):
        return previous
    extents: list[Extent] = []
    at = begin
    for start, stop in (*(previous or ()), (end, end)):
        while at < start and (data := next_data(descriptor, at, start)) < start:
            hole = min(_next_hole(descriptor, data), start)
            _append(extents, max(data & -PAGE, at), hole)
            at = hole
        _append(extents, start, stop)
        at = stop
    return extents


def _still_all(descriptor: int, begin: int, end: int, previous: list[Extent]) -> bool:
    """Return whether all gaps between `previous` are holes; a quick no may be wrong."""
    # There may be 262,144 extents, so this loop does the least that is possible.
    lseek, seek_data = os.lseek, os.SEEK_DATA
    at = begin
    try:
        for start, stop in previous:
            if lseek(descriptor, at, seek_data) < start:
                return False
            at = stop
        return lseek(descriptor, at, seek_data) >= end
    except OSError:
        return False


def _next_hole(descriptor: int, offset: int) -> int:
    """Return the end of the data at `offset`, as whole pages."""
    return -(-os.lseek(descriptor, offset, os.SEEK_HOLE) // PAGE) * PAGE


def _append(extents: list[Extent], start: int, stop: int) -> None:
    if start >= stop:  # the end, or a hole that was punched between two system calls
        return
    if extents and start - extents[-1][1] < _NEAR:
        extents[-1] = (extents[-1][0], stop)
    else:
        extents.append((start, stop))


def punch(descriptor: int, offset: int, length: int) -> None:
    """Punch a hole: it reads as zeroes, and its blocks are freed. The file's size stays.

    Raises
    ------
    TrafficError
        If the file system cannot punch holes.
    """
    # Python has no fallocate with a mode.
    libc = ctypes.CDLL(None, use_errno=True)
    keep_size, punch_hole = 1, 2
    if libc.fallocate(descriptor, keep_size | punch_hole, ctypes.c_long(offset), ctypes.c_long(length)):
        raise TrafficError(f"cannot make a hole: {os.strerror(ctypes.get_errno())}")


def holes_read_as_data(descriptor: int) -> bool:
    """Return whether the file system reports holes as data, as hugetlbfs does.

    A file there is one piece of data, however few of its bytes are allocated.
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
    buffer = (ctypes.c_long * 64)()  # f_type is its first member; no system's struct is that long
    if libc.fstatfs(descriptor, buffer):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return buffer[0] & 0xFFFFFFFF
