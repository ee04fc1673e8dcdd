"""A recording: begun, read while it runs, ended."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Self

from fame_lab.core import above
from fame_lab.results.capture import keep
from fame_lab.traffic.snapshot import Snapshot
from fame_lab.traffic.traffic import Traffic
from fame_lab.traffic.views import TrafficViews

__all__ = ["NEVER_STARTED", "Recording"]

NEVER_STARTED = "this recording never started: recording.start(), or use it in a with statement"


class Recording(TrafficViews):
    """The traffic between :meth:`start` and :meth:`stop`; see :meth:`fame_lab.Lab.record`.

    The methods of :class:`Traffic` show its numbers so far at any time. In a ``with`` statement it starts at
    the beginning and stops at the end.
    """

    #: ``trace``: exact counts by author; ``samples``: changes that the host saw.
    source: str
    #: The label of numbers that are taken meanwhile, if distance is felt; else empty.
    felt: str = ""

    def __init__(self) -> None:
        self._after: list[Callable[[], None]] = []

    @abstractmethod
    def start(self) -> Self:
        """Start. A recording that has stopped starts anew, from nothing."""

    @abstractmethod
    def stop(self) -> Traffic:
        """Stop, and return the recorded traffic. Safe to repeat."""

    @abstractmethod
    def traffic(self) -> Traffic:
        """Return the traffic recorded so far.

        Raises
        ------
        TrafficError
            If it never started, or its files are broken.
        """

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether it has started and not stopped."""

    @abstractmethod
    def glance(self) -> Snapshot:
        """Return the numbers of a live picture, quickly; the last ones once it has stopped."""

    def when_stopped(self, do: Callable[[], None]) -> None:
        """Register a function to call once, when it stops, on the thread that stops it."""
        self._after.append(do)

    def _has_stopped(self) -> None:
        keep("traffic", lambda place: self.traffic().save(place))
        while self._after:
            self._after.pop()()

    def live(self, *, every: float = 0.3) -> Any:
        """Show it in a notebook while it runs: matrix and address heat, with a button that pauses them.

        The picture goes on while a cell is executed, but a click on the button may wait for that cell's end.
        Where the notebook is executed without a front end, a still picture takes its place. It becomes the
        last one when the recording stops.

        Parameters
        ----------
        every : float
            Seconds from picture to picture, from 0.1 to 60.

        Raises
        ------
        SpecError
            If `every` is out of range.
        """
        # It imports ipywidgets, which a recording does not need.
        return above.load("live_view").live(self, every)

    def _repr_html_(self) -> str:
        return self.traffic()._repr_html_()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *raised: object) -> None:
        self.stop()
