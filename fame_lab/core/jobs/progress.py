"""Start and follow jobs, whose progress goes to a listener or to a bar.

Whatever takes its time opens a :func:`job`; whatever is done in it tells :func:`current`, and need not know
whether anybody looks. Both follow the context (:mod:`contextvars`), so that threads have to be started in a
copy of it.
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
        In a word or two.
    total : int, optional
        How many steps there will be, if it is known already.
    unit : str
        What a step is.
    shown : bool
        Whether there is a bar at all. A listener, or the job that this one is part of, is told in any case.

    Yields
    ------
    Job
        The :func:`current` one of the block. Within another job it tells that one what goes on, and takes
        none of its steps.
    """
    outer, listener = _job.get(), _listener.get()
    if outer is not None:
        listener = _part_of(outer, what)
    made = Job(total, listener)
    if listener is not None:
        made.describe(what if outer is None else "")
    with contextlib.ExitStack() as stack:
        if shown and listener is None:
            from fame_lab.core.jobs.progress_bar import (
                ProgressDisplay,  # with it comes tqdm, which a job that is not shown does not need
            )

            stack.enter_context(ProgressDisplay(made, what, unit))
        token = _job.set(made)
        try:
            yield made
        finally:
            _job.reset(token)


SILENT = Job()


def current() -> Job:
    """Return the innermost job of this context; one that nobody hears if there is none."""
    return _job.get() or SILENT


def _part_of(outer: Job, what: str) -> Listener:
    def tell(done: int, total: int | None, words: str) -> None:
        how_far = f"{what} {done}/{total}" if total is not None else what
        outer.describe(f"{how_far}: {words}" if words else how_far)

    return tell
