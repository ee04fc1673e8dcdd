"""Cancellation: an event that each start, wait and command of a block looks at."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Iterator

from fame_lab.errors import LabError

__all__ = ["cancellable", "is_cancelled", "raise_if_cancelled", "shielded"]

_events: contextvars.ContextVar[tuple[threading.Event, ...]] = contextvars.ContextVar("cancel", default=())


@contextlib.contextmanager
def cancellable(event: threading.Event) -> Iterator[None]:
    """Cancel the block's starts and its commands in guests when any thread sets `event`.

    A command ends in its guest too, raises SSHError, and no further one is started. A start raises LabError.
    Threads that the block starts are part of it if they run in a copy of its context, as those of
    :meth:`fame_lab.Lab.each` do.

    Examples
    --------
    >>> enough = threading.Event()
    >>> with cancellable(enough):
    ...     enough.set()
    ...     is_cancelled()
    True
    """
    token = _events.set((*_events.get(), event))
    try:
        yield
    finally:
        _events.reset(token)


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Shield the block, which cleans up, from the cancellation that caused it."""
    token = _events.set(())
    try:
        yield
    finally:
        _events.reset(token)


def is_cancelled() -> bool:
    """Return whether this context has been cancelled."""
    return any(event.is_set() for event in _events.get())


def raise_if_cancelled() -> None:
    """Raise LabError if the start that runs here has been cancelled."""
    if is_cancelled():
        raise LabError("the start was cancelled")
