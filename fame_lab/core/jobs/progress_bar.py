"""The display of a job: a bar on a terminal or in a notebook, and lines in a log."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any, ClassVar

import tqdm.auto

from fame_lab.core.jobs.job import Job, State
from fame_lab.core.kernel_env import RUN_VARIABLE

__all__ = ["Bar", "LogProgress", "shown"]

log = logging.getLogger(__name__)

#: Seconds that a job takes at least to be shown at all.
DELAY = 1.0


@contextlib.contextmanager
def shown(job: Job, what: str, unit: str) -> Iterator[None]:
    """Show a job from its first second to its end, which is the block's.

    A thread looks at the job, for a step may be long: the bar has to appear, and its clock to go on, before
    the step is done.

    Parameters
    ----------
    job : Job
    what, unit : str
        The names of the job and of a step.
    """
    began, ended = time.time(), threading.Event()
    view: Bar | LogProgress | None = None

    def look() -> None:
        nonlocal view
        wait = DELAY
        with _given_up(what):
            while not ended.wait(wait):
                view = view or _view(what, unit, began)
                view.show(job.state)
                wait = view.interval
            return
        view = None

    # In our context, by which a notebook finds the cell of the thread's output.
    work = contextvars.copy_context().run
    thread = threading.Thread(target=work, args=(look,), name=f"show-{what}", daemon=True)
    thread.start()
    failed = True
    try:
        yield
        failed = False
    finally:
        ended.set()
        try:
            thread.join()
        finally:
            if view is not None:
                with _given_up(what):
                    view.end(job.state, failed=failed)


@contextlib.contextmanager
def _given_up(what: str) -> Iterator[None]:
    """Leave the block when the output is closed: the job goes on without it."""
    try:
        yield
    except (OSError, ValueError) as error:
        log.debug("%s is not shown any more: %s", what, error)


@dataclass
class Bar:
    """A widget in a notebook, a line that is drawn anew in a terminal.

    Parameters
    ----------
    what, unit : str
        The names of the job and of a step.
    began : float
        Its start, in seconds of :func:`time.time`.
    """

    #: Seconds from one look at the job to the next.
    interval: ClassVar[float] = 0.5

    what: str
    unit: str
    began: float
    _bar: Any = field(default=None, init=False)

    def show(self, state: State) -> None:
        """Draw the bar anew."""
        if self._bar is None:
            self._bar = tqdm.auto.tqdm(desc=self.what, total=state.total, unit=self.unit, dynamic_ncols=True)
        elif self._bar.total != state.total:
            self._bar.reset(state.total)
        self._bar.start_t = self.began
        self._bar.n = state.done
        self._bar.set_postfix_str(state.words)

    def end(self, state: State, *, failed: bool) -> None:
        """Leave the bar as it is in the end, or remove it if the job failed."""
        if self._bar is None:
            return
        if failed:
            # A notebook would keep the unfinished bar, in red; the error that is raised tells more.
            self._bar.total, self._bar.leave = None, False
        else:
            self.show(state._replace(words=""))
        self._bar.close()


@dataclass
class LogProgress:
    """A line of text now and then, for a log or a page.

    Parameters
    ----------
    what, unit : str
        The names of the job and of a step.
    began : float
        Its start, in seconds of :func:`time.time`.
    file : file
        The log.
    """

    what: str
    unit: str
    began: float
    file: IO[str]
    interval: float = field(default=10.0, init=False)

    def show(self, state: State) -> None:
        """Write its progress."""
        parts = [self._how_far(state), self._left(state), state.words]
        self._write(", ".join(filter(None, parts)))
        # The longer it takes, the less often anybody wants to read of it.
        self.interval = min(2 * self.interval, 120.0)

    def end(self, state: State, *, failed: bool) -> None:
        """Write its end."""
        self._write(f"{'stopped at ' * failed}{self._how_far(state)}, {time.time() - self.began:.0f} s")

    def _left(self, state: State) -> str:
        """Return an estimate of the remaining time, at the pace of the steps so far."""
        if not state.done or state.total is None or state.done >= state.total:
            return ""
        seconds = (time.time() - self.began) / state.done * (state.total - state.done)
        return f"about {seconds:.0f} s left" if seconds < 120 else f"about {seconds / 60:.0f} min left"

    def _how_far(self, state: State) -> str:
        of = "" if state.total is None else f"/{state.total}"
        return f"{state.done}{of} {self.unit}"

    def _write(self, words: str) -> None:
        print(f"{self.what}: {words}", file=self.file, flush=True)


def _view(what: str, unit: str, began: float) -> Bar | LogProgress:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if (kernel := getattr(shell, "kernel", None)) is not None:
        # Nobody sees a widget of a notebook that is executed for a report or by nbclient. A kernel of
        # nbclient's, unlike one with a person before it, allows no input.
        alone = RUN_VARIABLE in os.environ or not getattr(kernel, "_allow_stdin", True)
        return LogProgress(what, unit, began, sys.stdout) if alone else Bar(what, unit, began)
    return Bar(what, unit, began) if sys.stderr.isatty() else LogProgress(what, unit, began, sys.stderr)
