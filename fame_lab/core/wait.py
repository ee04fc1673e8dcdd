"""Wait for something that nobody announces, by asking again and again."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["wait_until"]


def wait_until(condition: Callable[[], bool], timeout: float, *, interval: float = 0.05) -> bool:
    """Return whether a condition came true in time; an error that it raises ends the wait.

    Parameters
    ----------
    condition : callable
    timeout : float
        Seconds, by a clock that nobody sets.
    interval : float
        Seconds between two calls.

    Examples
    --------
    >>> answers = iter([False, True])
    >>> wait_until(lambda: next(answers), 1, interval=0)
    True
    >>> wait_until(lambda: False, 0)
    False
    """
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(interval)
    return True
