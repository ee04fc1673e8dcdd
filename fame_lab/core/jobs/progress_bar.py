"""The display of a job: a bar on a terminal or in a notebook, and lines in a log."""

from __future__ import annotations

import contextvars
import logging
import os
import sys
import threading
import time
from types import TracebackType
from typing import IO, Any, Protocol

import tqdm.auto

from fame_lab.core.jobs.job import Job, State
from fame_lab.core.kernel_env import RUN_VARIABLE

__all__ = ["Bar", "LogProgress", "ProgressDisplay"]

log = logging.getLogger(__name__)

#: Seconds that a job takes at least to be shown at all.
DELAY = 1.0


class View(Protocol):
    """A view of a job, from its first second on."""

    #: Seconds from one look at the job to the next.
    interval: float

    def show(self, state: State) -> None:
        """Show its progress."""

    def end(self, state: State, *, failed: bool) -> None:
        """Show its end."""


class ProgressDisplay:
    """The display of a job from its first second to its end.

    A thread looks at the job, for a step may be long: the bar has to appear, and its clock to go on, before
    the step is done.

    Parameters
    ----------
    job : Job
    what : str
        Its name.
    unit : str
        The name of a step.
    """

    def __init__(self, job: Job, what: str, unit: str) -> None:
        self._job = job
        self._what = what
        self._unit = unit
        self._began = time.time()
        self._ended = threading.Event()
        self._view: View | None = None
        # In our context, by which a notebook finds the cell of the thread's output.
        work = contextvars.copy_context().run
        self._thread = threading.Thread(target=work, args=(self._work,), name=f"show-{what}", daemon=True)

    def __enter__(self) -> ProgressDisplay:
        self._thread.start()
        return self

    def _work(self) -> None:
        wait = DELAY
        try:
            while not self._ended.wait(wait):
                if self._view is None:
                    self._view = _view(self._what, self._unit, self._began)
                self._view.show(self._job.state)
                wait = self._view.interval
        except (OSError, ValueError) as error:
            # The output is closed, and the job goes on without it.
            log.debug("%s is not shown any more: %s", self._what, error)
            self._view = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        try:
            self._thread.join()
        finally:
            if self._view is not None:
                try:
                    self._view.end(self._job.state, failed=kind is not None)
                except (OSError, ValueError) as failure:
                    log.debug("%s is not shown any more: %s", self._what, failure)


class Bar:
    """A widget in a notebook, a line that is drawn anew in a terminal.

    Parameters
    ----------
    what, unit : str
        The names of the job and of a step.
    began : float
        Its start, in seconds of :func:`time.time`.
    """

    interval = 0.5

    def __init__(self, what: str, unit: str, began: float) -> None:
        self._what = what
        self._unit = unit
        self._began = began
        self._bar: Any = None

    def show(self, state: State) -> None:
        """Draw the bar anew."""
        if self._bar is None:
            self._bar = tqdm.auto.tqdm(
                desc=self._what, total=state.total, unit=self._unit, dynamic_ncols=True
            )
        elif self._bar.total != state.total:
            self._bar.reset(state.total)
        self._bar.start_t = self._began
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

    def __init__(self, what: str, unit: str, began: float, file: IO[str]) -> None:
        self._what = what
        self._unit = unit
        self._began = began
        self._file = file
        self.interval = 10.0

    def show(self, state: State) -> None:
        """Write its progress."""
        parts = [self._how_far(state), self._left(state), state.words]
        self._write(", ".join(filter(None, parts)))
        # The longer it takes, the less often anybody wants to read of it.
        self.interval = min(2 * self.interval, 120.0)

    def end(self, state: State, *, failed: bool) -> None:
        """Write its end."""
        self._write(f"{'stopped at ' * failed}{self._how_far(state)}, {time.time() - self._began:.0f} s")

    def _left(self, state: State) -> str:
        """Return an estimate of the remaining time, at the pace of the steps so far."""
        if not state.done or state.total is None or state.done >= state.total:
            return ""
        seconds = (time.time() - self._began) / state.done * (state.total - state.done)
        return f"about {seconds:.0f} s left" if seconds < 120 else f"about {seconds / 60:.0f} min left"

    def _how_far(self, state: State) -> str:
        of = "" if state.total is None else f"/{state.total}"
        return f"{state.done}{of} {self._unit}"

    def _write(self, words: str) -> None:
        print(f"{self._what}: {words}", file=self._file, flush=True)


def _view(what: str, unit: str, began: float) -> View:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if (kernel := getattr(shell, "kernel", None)) is not None:
        # Nobody sees a widget of a notebook that is executed for a report or by nbclient. A kernel of
        # nbclient's, unlike one with a person before it, allows no input.
        alone = RUN_VARIABLE in os.environ or not getattr(kernel, "_allow_stdin", True)
        return LogProgress(what, unit, began, sys.stdout) if alone else Bar(what, unit, began)
    return Bar(what, unit, began) if sys.stderr.isatty() else LogProgress(what, unit, began, sys.stderr)
