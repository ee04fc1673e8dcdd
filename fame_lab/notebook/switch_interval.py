"""The switch interval of the interpreter, shortened so that a kernel answers beside busy threads."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

__all__ = ["short_switch_interval"]

#: Seconds for which a thread may keep the interpreter while others want it. Python's own 5 ms, at each of the
#: many hands that an answer goes through, make it 0.2 s while a figure is laid out or modules are loaded.
_SHORT = 0.0005

_lock = threading.Lock()
_inside = 0
_usual = 0.0


@contextlib.contextmanager
def short_switch_interval() -> Iterator[None]:
    """Keep any thread from holding the interpreter for long while the block runs, on whatever thread."""
    global _inside, _usual
    with _lock:
        if _inside == 0:
            _usual = sys.getswitchinterval()
            sys.setswitchinterval(_SHORT)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                sys.setswitchinterval(_usual)
