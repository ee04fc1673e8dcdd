"""A job: its progress, and its listeners."""

from __future__ import annotations

import threading
from typing import NamedTuple, Protocol

__all__ = ["Job", "Listener", "State"]


class Listener(Protocol):
    """Whoever shows progress.

    It is called in whichever thread tells of the job, one call at a time, and should be quick. What it raises
    goes to whoever told, and so ends the job.
    """

    def __call__(self, done: int, total: int | None, words: str, /) -> None:
        """Take the number of steps done, their total if it is known, and what goes on."""


class State(NamedTuple):
    """How far a job is: steps done, of how many if that is known, and what goes on."""

    done: int
    total: int | None
    words: str


class Job:
    """Something that takes its time, in steps. Any thread may tell of it.

    Parameters
    ----------
    total : int, optional
        How many steps there will be.
    listener : Listener, optional
        Told of every change.
    """

    def __init__(self, total: int | None = None, listener: Listener | None = None) -> None:
        self._state = State(0, total, "")
        self._listener = listener
        # Held while the listener is told, so that it never hears of less than it has heard of.
        self._lock = threading.Lock()

    @property
    def state(self) -> State:
        """How far it is."""
        return self._state

    def set_total(self, total: int) -> None:
        """Set how many steps there will be in all."""
        with self._lock:
            self._change(self._state._replace(total=total))

    def step(self, words: str = "", count: int = 1) -> None:
        """Count one step more, or several; and set what goes on, unless that has not changed."""
        with self._lock:
            done, total, before = self._state
            self._change(State(done + count, total, words or before))

    def describe(self, words: str) -> None:
        """Describe what goes on."""
        with self._lock:
            self._change(self._state._replace(words=words))

    def _change(self, state: State) -> None:
        self._state = state
        if self._listener is not None:
            self._listener(*state)
