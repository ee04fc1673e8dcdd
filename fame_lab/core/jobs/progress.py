"""Start and follow jobs, whose progress goes to a listener or to a bar.

A task of some duration opens a :func:`job`. Each step of it reports to :func:`current`, and need not know
whether anybody looks. Both follow the context (:mod:`contextvars`), so threads have to be started in a copy
of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from fame_lab.core.jobs.job import Job, Listener, State
from fame_lab.core.moved import renamed

__all__ = ["SILENT", "Job", "Listener", "State", "current", "job", "listen"]


__getattr__ = renamed(__name__, {"heard_by": "listen"})

_job: ContextVar[Job | None] = ContextVar("fame_lab_job", default=None)
_listener: ContextVar[Listener | None] = ContextVar("fame_lab_listener", default=None)


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Report the jobs of this block to a listener; none of them draws a bar.

    Examples
    --------
    >>> with listen(lambda done, total, words: print(done, total, words)):
    ...     with job("count", total=2) as counting:
    ...         counting.step("one")
    0 2 count
    1 2 one
    """
    heard, outer = _listener.set(listener), _job.set(None)
    try:
        yield
    finally:
        _job.reset(outer)
        _listener.reset(heard)


@contextmanager
def job(what: str, *, total: int | None = None, unit: str = "it", shown: bool = True) -> Iterator[Job]:
    """Open a job: a bar that appears after a second, or plain lines where nobody sees a bar move.

    Parameters
    ----------
    what : str
        Its name, in a word or two.
    total : int, optional
        The number of steps, if it is known already.
    unit : str
        The name of a step.
    shown : bool
        Whether there is a bar at all. A listener, or the outer job, gets each change in any case.

    Yields
    ------
    Job
        The :func:`current` one of the block. It describes its activity to an outer job, and counts none of
        that job's steps.
    """
    outer, listener = _job.get(), _listener.get()
    if outer is not None:
        listener = _part_of(outer, what)
    inner = Job(total, listener)
    if listener is not None:
        inner.describe(what if outer is None else "")
    with contextlib.ExitStack() as stack:
        if shown and listener is None:
            from fame_lab.core.jobs import progress_bar  # it imports tqdm, which takes time

            stack.enter_context(progress_bar.shown(inner, what, unit))
        token = _job.set(inner)
        try:
            yield inner
        finally:
            _job.reset(token)


SILENT = Job()


def current() -> Job:
    """Return the innermost job of this context; one without a listener if there is none."""
    return _job.get() or SILENT


def _part_of(outer: Job, what: str) -> Listener:
    def report(done: int, total: int | None, words: str) -> None:
        how_far = f"{what} {done}/{total}" if total is not None else what
        outer.describe(f"{how_far}: {words}" if words else how_far)

    return report
