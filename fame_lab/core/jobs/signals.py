"""Ctrl-C deferred, while a step has to finish or be undone as a whole."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["deferred"]

log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def deferred(event: threading.Event) -> Iterator[None]:
    """Set `event` when a signal asks to stop, and deliver the signal itself at the end of the block.

    An exception may strike between any two instructions, and nothing cleans up after that with certainty.
    An event is read at chosen points. Python delivers signals to the main thread alone, so elsewhere this
    does nothing.

    Parameters
    ----------
    event : threading.Event
        The block has to read it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        caught.append(number)
        event.set()
        log.warning("%s: cleaning up first", signal.Signals(number).name)

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    # An ignored signal stays ignored. A handler that is not Python's own (None) could not be put back.
    mine = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    for number in mine:
        signal.signal(number, remember)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, before[number])
        for first in caught[:1]:
            signal.raise_signal(first)
