"""Measure points in one lab at a time, which stays while the next point wants the same one."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import socket
import threading

from fame_lab.core.jobs.cancellation import cancellable
from fame_lab.errors import FameError, HostError
from fame_lab.experiments.sweep.plan import Plan, Point
from fame_lab.experiments.sweep.storage import Failure
from fame_lab.lab.lab import Lab
from fame_lab.results.capture import kept_as_one
from fame_lab.results.result import Result

__all__ = ["PointRunner", "end_forsaken"]


class PointRunner:
    """A runner with one lab of a sweep at a time. The end of its with statement stops the lab.

    Parameters
    ----------
    plan : Plan
    progress : bool
        Whether bars show the progress.
    """

    def __init__(self, plan: Plan, *, progress: bool) -> None:
        self._plan = plan
        self._progress = progress
        self._lab: Lab | None = None
        self._block: tuple[int, ...] = ()
        self._cancelled = threading.Event()

    def __enter__(self) -> PointRunner:
        return self

    def __exit__(self, *raised: object) -> None:
        self.end()

    def measure(self, point: Point) -> Result | Failure:
        """Measure at a point, in a lab that is started if need be.

        Returns
        -------
        Result or Failure
            A failure is this point's own: another point may succeed.

        Raises
        ------
        HostError
            If this host cannot measure any point.
        """
        began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        host = socket.gethostname()
        whole = contextlib.ExitStack()
        try:
            # A lab that failed or was interrupted at one point is not trusted with the next.
            with whole, cancellable(self._cancelled), kept_as_one():
                whole.callback(self.end)
                lab = self._lab_for(point)
                result = lab.probe(self._plan.probe, **self._plan.parameters_of(point))
                whole.pop_all()
        except HostError:
            raise
        except FameError as error:
            return Failure(type(error).__name__, str(error), host, began)
        at = {"values": self._plan.values_of(point), "repeat": point.repeat, "run_order": point.number}
        manifest = result.manifest | {"sweep": at | {"host": host, "time": began}}
        return dataclasses.replace(result, manifest=manifest)

    def _lab_for(self, point: Point) -> Lab:
        block = self._plan.block_of(point)
        if self._lab is None or block != self._block:
            self.end()
            end_forsaken(self._plan)
            self._lab, self._block = Lab(self._plan.lab_of(point), progress=self._progress), block
            self._lab.start(cancelled=self._cancelled)
        return self._lab

    def cancel(self) -> None:
        """Cancel the measurement, in the guests too, from any thread."""
        self._cancelled.set()

    def end(self) -> None:
        """Stop the lab, if there is one. Safe to repeat."""
        lab, self._lab = self._lab, None
        if lab is not None:
            lab.stop()


def end_forsaken(plan: Plan) -> None:
    """End this sweep's orphaned labs on this host: no other's, and none in use."""
    for entry in Lab.list():
        if plan.is_mine(entry.name):
            entry.end_if_orphan()
