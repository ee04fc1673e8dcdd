"""Abort what exceeds a limit, where the caller cannot time it out itself."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

__all__ = ["abort_after"]


@contextlib.contextmanager
def abort_after(seconds: float, give_up: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Stop a block after so many seconds; yield a function that returns whether it was stopped.

    paramiko's own timeouts go by the wall clock, which may jump; begin anew with each byte of a banner; and
    are missing where a command waits for being taken.
    """
    given_up = threading.Event()

    def end() -> None:
        given_up.set()
        give_up()

    over = threading.Timer(seconds, end)
    over.daemon = True
    over.start()
    try:
        yield given_up.is_set
    finally:
        over.cancel()
