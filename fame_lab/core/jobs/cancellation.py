"""Calling off what runs in the guests: an event that every command of a block looks at, whoever gave it."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Iterator

__all__ = ["cancellable", "is_cancelled", "shielded"]

_events: contextvars.ContextVar[tuple[threading.Event, ...]] = contextvars.ContextVar("cancel", default=())


@contextlib.contextmanager
def cancellable(event: threading.Event) -> Iterator[None]:
    """Arrange that `event`, set from any thread, ends the commands that the block runs in guests.

    Each ends in the guest too, raises SSHError, and no further one is begun. Threads that the block starts
    are part of it if they run in a copy of its context, as those of :meth:`fame_lab.Lab.each` do.

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
    """Shield the block from being called off: it cleans up after what was called off."""
    token = _events.set(())
    try:
        yield
    finally:
        _events.reset(token)


def is_cancelled() -> bool:
    """Return whether what runs here has been called off."""
    return any(event.is_set() for event in _events.get())
