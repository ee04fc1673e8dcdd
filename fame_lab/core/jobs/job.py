"""A job: its progress, and its listeners."""

from __future__ import annotations

import threading
from typing import NamedTuple, Protocol

__all__ = ["Job", "Listener", "State"]


class Listener(Protocol):
    """A function that shows progress.

    It is called in the thread that changes the job, one call at a time, and should be quick. An error that it
    raises goes to that thread, and so ends the job.
    """

    def __call__(self, done: int, total: int | None, words: str, /) -> None:
        """Show the number of steps done, their total if it is known, and the present activity."""


class State(NamedTuple):
    """The progress of a job: steps done, their total if it is known, and the present activity."""

    done: int
    total: int | None
    words: str


class Job:
    """A task of some duration, in steps. Any thread may report on it.

    Parameters
    ----------
    total : int, optional
        The number of steps.
    listener : Listener, optional
        Called at every change.
    """

    def __init__(self, total: int | None = None, listener: Listener | None = None) -> None:
        self._state = State(0, total, "")
        self._listener = listener
        # Held while the listener is called, so that its calls are in the order of the changes.
        self._lock = threading.Lock()

    @property
    def state(self) -> State:
        """Its progress."""
        return self._state

    def set_total(self, total: int) -> None:
        """Set the number of steps."""
        with self._lock:
            self._change(self._state._replace(total=total))

    def step(self, words: str = "", count: int = 1) -> None:
        """Count one step more, or several; and describe the next activity, unless `words` is empty."""
        with self._lock:
            done, total, before = self._state
            self._change(State(done + count, total, words or before))

    def describe(self, words: str) -> None:
        """Describe the present activity."""
        with self._lock:
            self._change(self._state._replace(words=words))

    def _change(self, state: State) -> None:
        self._state = state
        if self._listener is not None:
            self._listener(*state)
