"""Reads and writes at an offset, of any size.

Linux moves at most 0x7ffff000 bytes a call, and fewer where a signal comes or a file system fills up. So
whatever is read or written by a descriptor goes through here, and is whole.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["read_at", "read_into", "write_at"]


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Read `size` bytes; fewer only where the file ends.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    content = os.pread(descriptor, size, offset)
    if not 0 < len(content) < size:
        return content
    parts = [content]
    filled = len(content)
    while filled < size and (part := os.pread(descriptor, size - filled, offset + filled)):
        parts.append(part)
        filled += len(part)
    return b"".join(parts)


def read_into(descriptor: int, target: memoryview, offset: int) -> int:
    """Fill a buffer, and return the number of bytes: fewer than it holds only where the file ends.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    filled = 0
    while filled < len(target):
        count = os.preadv(descriptor, [target[filled:]], offset + filled)
        if not count:
            break
        filled += count
    return filled


def write_at(descriptor: int, content: Buffer, offset: int) -> None:
    """Write all of `content`, a contiguous buffer.

    Raises
    ------
    OSError
        If it cannot be written; a part of it may have been.
    """
    remaining = memoryview(content)
    if not remaining.nbytes:
        return
    remaining = remaining.cast("B")
    while remaining:
        count = os.pwrite(descriptor, remaining, offset)
        if not count:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        remaining = remaining[count:]
        offset += count
