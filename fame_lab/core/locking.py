"""Locks between processes, each held by an open file: it goes with whoever holds it, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["lock", "open_locked", "same_file"]


def lock(descriptor: int, *, shared: bool = False, wait: bool = True) -> bool:
    """Lock an open file until it is closed; return whether it is locked.

    Parameters
    ----------
    descriptor : int
    shared : bool
        Whether others may hold it too, each as a shared lock.
    wait : bool
        Whether to wait for another holder. If not, the result may be False.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def open_locked(
    path: Path, flags: int = os.O_RDONLY, *, shared: bool = False, wait: bool = True
) -> Iterator[int | None]:
    """Open a file or a directory, no link, and hold its lock while the block runs.

    Parameters
    ----------
    path : Path
    flags : int
        Of :func:`os.open`. A file that is created has mode 0600.
    shared, wait : bool
        See :func:`lock`.

    Yields
    ------
    int or None
        Its descriptor; None if another process holds it.

    Raises
    ------
    OSError
        If it cannot be opened.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor if lock(descriptor, shared=shared, wait=wait) else None
    finally:
        os.close(descriptor)


def same_file(descriptor: int, path: Path) -> bool:
    """Return whether an open file is the one at `path`, and no other lies in its place."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), status)
