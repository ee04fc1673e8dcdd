"""A sweep on many machines, by Dask: each worker has a bench, and measures a point at a time on it.

The points are dealt out here, so that a worker stays in its lab where it can. If a worker dies, Dask has
another one measure its point. The next worker that starts a lab on that host ends the dead worker's lab. The
end of the sweep does so on every host that still has a worker.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import distributed
from distributed.scheduler import KilledWorker

from fame_lab.core.jobs.progress import current
from fame_lab.core.sanitize import quoted
from fame_lab.errors import FameError, HostError
from fame_lab.experiments.sweep.plan import Plan, Point
from fame_lab.experiments.sweep.point_runner import PointRunner, end_forsaken
from fame_lab.experiments.sweep.storage import Failure
from fame_lab.results.result import Result

__all__ = ["measure"]

log = logging.getLogger(__name__)

#: Seconds until a worker without a point ends its lab: the sweep may have been killed.
_IDLE = 30.0
#: Seconds in which a scheduler answers.
_ANSWER = 15.0

if TYPE_CHECKING:
    Future = distributed.Future[Any]

Keep = Callable[[Point, Result | Failure], None]


class WorkerLab(distributed.WorkerPlugin):
    """A worker's lab, for one point at a time, however many threads the worker has.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self.name = _name(plan)
        self._plan = plan

    def setup(self, worker: distributed.Worker) -> None:
        """Set up the lab's runner, on the worker."""
        # Its profiler reads all threads a hundred times a second, while we measure. Python 3.11 may lock up
        # for good if a thread starts just then: https://github.com/python/cpython/issues/106883
        if profiler := worker.periodic_callbacks.pop("profile", None):
            profiler.stop()
        self._runner = PointRunner(self._plan, progress=False)
        self._lock = threading.Lock()
        self._idle = threading.Timer(_IDLE, self._rest)

    def measure(self, point: Point) -> Result | Failure:
        """Measure at a point; see :meth:`PointRunner.measure`."""
        with self._lock:
            self._idle.cancel()
            try:
                return self._runner.measure(point)
            finally:
                self._idle = threading.Timer(_IDLE, self._rest)
                self._idle.daemon = True
                self._idle.start()

    def _rest(self) -> None:
        if self._lock.acquire(blocking=False):  # else it is not idle
            try:
                self._runner.end()
            finally:
                self._lock.release()

    def teardown(self, worker: distributed.Worker) -> None:  # noqa: ARG002 - Dask's to choose
        """Cancel the measurement, and end the lab."""
        self._runner.cancel()
        self._idle.cancel()
        with self._lock:
            self._idle.cancel()
            self._runner.end()


def measure(plan: Plan, waiting: list[Point], keep: Keep, cluster: str | distributed.Client) -> None:
    """Measure points on a cluster; `keep` gets each as it is done.

    Raises
    ------
    HostError
        If the scheduler does not answer, or a worker's host cannot measure.
    """
    with _client(cluster) as client, client.as_current():
        name = _name(plan)
        try:
            _register(client, plan)
            _deal(client, plan, name, list(waiting), keep)
        finally:
            _end(client, plan, name)


def _register(client: distributed.Client, plan: Plan) -> None:
    try:
        client.register_plugin(WorkerLab(plan))
    except Exception as error:  # of any kind, from a worker's host or Dask
        raise HostError(
            f"the cluster's workers cannot measure: {type(error).__name__}: {error}; each needs fame_lab, "
            "of the version that is here"
        ) from error


def _deal(client: distributed.Client, plan: Plan, name: str, waiting: list[Point], keep: Keep) -> None:
    out: dict[Future, tuple[Point, str]] = {}
    last: dict[str, Point] = {}
    try:
        while waiting or out:
            workers = list(client.nthreads())
            busy = {worker for _, worker in out.values()}
            for worker in [each for each in workers if each not in busy][: len(waiting)]:
                others = {plan.block_of(point) for point, _ in out.values()}
                point = _next(plan, waiting, last.get(worker), others)
                waiting.remove(point)
                last[worker] = point
                # If that worker dies, Dask sends the point to another.
                future = client.submit(
                    _measure, name, point, workers=[worker], allow_other_workers=True, pure=False
                )
                out[future] = (point, worker)
            current().describe(
                f"{len(out)} on {len(workers)} workers" if workers else "no worker is there: waiting"
            )
            for future in _ended(out):
                point, _ = out.pop(future)
                keep(point, _outcome(future))
    finally:
        client.cancel(list(out))


def _next(plan: Plan, waiting: Sequence[Point], last: Point | None, others: set[tuple[int, ...]]) -> Point:
    """Choose a worker's next point: in this repeat, in its lab, or else in one that no other worker has."""
    mine = None if last is None else plan.block_of(last)
    candidates = [point for point in waiting if point.repeat == waiting[0].repeat]
    return min(
        candidates,
        key=lambda point: (plan.block_of(point) != mine, plan.block_of(point) in others, point.number),
    )


def _ended(out: dict[Future, tuple[Point, str]]) -> list[Future]:
    """Return the futures that ended. Wait a second at most, since workers may come and go."""
    if not out:
        threading.Event().wait(1.0)
        return []
    try:
        return list(distributed.wait(list(out), timeout=1.0, return_when="FIRST_COMPLETED").done)
    except TimeoutError:
        return []


def _measure(name: str, point: Point) -> Result | Failure:
    """Measure on a worker."""
    worker_lab: Any = distributed.get_worker().plugins[name]
    outcome: Result | Failure = worker_lab.measure(point)
    return outcome


def _outcome(future: Future) -> Result | Failure:
    try:
        outcome: Result | Failure = future.result()
    except KilledWorker as error:
        return Failure("KilledWorker", str(error), "", "")
    except FameError:
        raise
    except Exception as error:  # of any kind, from a worker's host or Dask
        raise HostError(f"a worker could not measure: {type(error).__name__}: {error}") from error
    return outcome


def _end(client: distributed.Client, plan: Plan, name: str) -> None:
    """End the sweep's labs on every worker's host."""
    if client.status != "running":
        return
    try:
        client.unregister_worker_plugin(name)
        for worker, answer in client.run(end_forsaken, plan, on_error="return").items():
            if isinstance(answer, Exception):
                log.warning("worker %s could not look for what is left there: %s", worker, answer)
    except (OSError, TimeoutError, RuntimeError) as error:  # the cluster has ended, and its labs with it
        log.warning("the cluster went away: %s", error)


@contextlib.contextmanager
def _client(cluster: str | distributed.Client) -> Iterator[distributed.Client]:
    if isinstance(cluster, distributed.Client):
        yield cluster
        return
    try:
        client = distributed.Client(cluster, timeout=_ANSWER, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise HostError(
            f"no Dask scheduler answers at {quoted(cluster)}: {error}",
            hint='start one with `dask scheduler`, and give its address, such as "tcp://host:8786"',
        ) from error
    with client:
        yield client


def _name(plan: Plan) -> str:
    return f"fame-lab-sweep-{plan.token}"
