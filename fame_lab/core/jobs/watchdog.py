"""Abort what exceeds a limit, where the caller cannot time it out itself."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

__all__ = ["abort_after"]


@contextlib.contextmanager
def abort_after(seconds: float, abort: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Abort a block after so many seconds; yield a function that returns whether the time has expired.

    paramiko's own timeouts go by the wall clock, which may jump, and begin anew with each byte of a banner.
    Where a command waits to be accepted there is none.
    """
    expired = threading.Event()

    def end() -> None:
        expired.set()
        abort()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield expired.is_set
    finally:
        timer.cancel()
