"""Sweeps: a probe, measured again and again while the lab and what the probe is told change."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fame_lab.core.jobs.progress import Job, job
from fame_lab.errors import HostError, ProbeError, SpecError
from fame_lab.experiments.sweep.combine import combined
from fame_lab.experiments.sweep.plan import Plan, Point
from fame_lab.experiments.sweep.point_runner import PointRunner
from fame_lab.experiments.sweep.storage import Failure, SweepStore
from fame_lab.results.capture import keep as keep_for_report
from fame_lab.results.result import Result
from fame_lab.results.storage import BROKEN
from fame_lab.spec.lab_spec import LabSpec

if TYPE_CHECKING:
    import xarray as xr
    from distributed import Client
    from matplotlib.figure import Figure

__all__ = ["Sweep", "sweep"]

log = logging.getLogger(__name__)


def sweep(
    probe: str,
    over: Mapping[str, Any],
    *,
    repeats: int = 5,
    spec: LabSpec | None = None,
    seed: int = 0,
    directory: str | os.PathLike[str] | None = None,
    cluster: str | Client | None = None,
    progress: bool = True,
    **parameters: Any,
) -> xr.Dataset:
    """Measure with a probe at every combination of values, several times, in random order.

    Each point is on disk as soon as it is measured. The same call, also after a kill, resumes the sweep: it
    measures no finished point twice, and tries failed points again.

    The order is random within blocks: each repeat goes through all labs in a random order, and in each lab
    through all its points in a random order. So a host that warms up or gets busy is not mistaken for an
    effect of the swept values. Yet a lab is started only once a repeat. (A randomized block design of
    split plots: Montgomery, Design and Analysis of Experiments, on blocking and on split plots. On repeats
    that start at the top, with a lab of their own: Kalibera and Jones, Rigorous Benchmarking in Reasonable
    Time, ISMM 2013.)

    Parameters
    ----------
    probe : str
        As of :meth:`fame_lab.Lab.probe`.
    over : mapping of str to sequence
        The swept fields of a :class:`fame_lab.LabSpec`, such as ``nodes``, and parameters of the probe, each
        with its values. A name that both have is the lab's. A parameter that takes several values may be
        named in the singular: ``stride`` gives ``strides`` one value at each point, and replaces the probe's
        own dimension. Sizes may be written as ``"4K"``.
    repeats : int
        The number of measurements of each combination.
    spec : LabSpec, optional
        Of every lab, but for the swept fields. Each lab gets a name of its own, which begins with this one.
    seed : int
        Of the order. A probe's own ``seed`` can be swept.
    directory : path, optional
        The sweep's directory; it is created if need be. By default it is ``sweeps/PROBE-…`` in the current
        one, the same for the same arguments.
    cluster : str or distributed.Client, optional
        Measure on many machines: the address of the scheduler of a Dask cluster, such as
        ``"tcp://host:8786"``. Each worker has one lab at a time. Every host needs this package. **Dask runs
        any code from anybody who reaches its scheduler or workers: use it only in a network that you
        trust.**
    progress : bool
        Whether a bar shows the progress, and the time left.
    **parameters
        Of the probe, at every point.

    Returns
    -------
    xarray.Dataset
        The probe's measurements, with a dimension for each key of `over`, and ``repeat``, before the probe's
        own; units in ``attrs``. Points that differ in the probe's dimensions are joined, with NaN (or empty
        text) where one has no value. The coordinates of each point (axes, repeat): ``host``;
        ``accelerator``; ``time``, UTC; ``run_order``, from 0; ``failed``, an event that must not happen and
        did; ``error``, the reason for missing numbers; ``manifest``, as JSON. The probe's ``attrs`` that
        differ between points are coordinates, too. ``attrs``: ``probe``, ``axes``, ``sweep_seed``,
        ``missing`` (the number of points without numbers), ``failed`` and ``errors`` in short.
        :class:`Sweep` draws it.

    Raises
    ------
    SpecError
        If an argument cannot be right, before the first lab starts. If the directory holds a sweep with other
        arguments, or one that is at work. Also if the probe refuses the first point.
    HostError
        If a host cannot measure, or a point cannot be saved. Finished points stay.
    ProbeError
        If no point could be measured. If only some could not, the dataset has their errors.

    Examples
    --------
    >>> sweep("pingpong", over={"nodes": [2, 4], "variants": ["store", "cas"]}, repeats=3)  # doctest: +SKIP
    """
    request = Plan.make(probe, over, repeats=repeats, seed=seed, spec=spec, parameters=parameters)
    folder = SweepStore(_usual_directory(request) if directory is None else directory)
    with folder.taken_up(request) as plan:
        finished = folder.done()
        waiting = [point for point in plan.points if point.number not in finished]
        if waiting:
            before = f", {len(finished)} points done before" if finished else ""
            what = f"sweep of {probe}{before}"
            with job(what, total=len(waiting), unit="point", shown=progress) as sweep_job:
                keep = _Keeper(folder, sweep_job, bool(finished))
                if cluster is None:
                    _measure_here(plan, waiting, keep, progress=progress)
                else:
                    _cluster().measure(plan, waiting, keep, cluster)
        outcome = Sweep.load(folder.path)
        keep_for_report(f"sweep_of_{probe}", lambda place: _copy(folder, outcome, place))
    if outcome.dataset.attrs["errors"]:
        log.warning(
            "%s points of the sweep could not be measured: %s; the same call tries them again",
            outcome.dataset.attrs["missing"],
            outcome.dataset.attrs["errors"],
        )
    return outcome.dataset


def _copy(folder: SweepStore, outcome: Sweep, place: Path) -> None:
    """Copy a sweep into a report, with the fields that all its points' manifests share."""
    shutil.copytree(folder.path, place, dirs_exist_ok=True)
    first, *others = outcome.manifests
    common = {key: value for key, value in first.items() if all(each.get(key) == value for each in others)}
    (place / "manifest.json").write_text(json.dumps({"manifest": common}, indent=1) + "\n")


class _Keeper:
    """A callback that saves the outcome of each point, and counts it in the job."""

    def __init__(self, folder: SweepStore, sweep_job: Job, any_done: bool) -> None:
        self._folder, self._job, self._any_done = folder, sweep_job, any_done

    def __call__(self, point: Point, outcome: Result | Failure) -> None:
        self._folder.keep(point, outcome)
        if isinstance(outcome, Result):
            self._any_done = True
        elif outcome.kind == SpecError.__name__ and not self._any_done:
            # It is most likely wrong at all points: not worth the start of every lab.
            raise SpecError(f"the sweep ended at its first point: {outcome.error}")
        self._job.step()


def _measure_here(plan: Plan, waiting: list[Point], keep: _Keeper, *, progress: bool) -> None:
    with PointRunner(plan, progress=progress) as runner:
        for point in waiting:
            keep(point, runner.measure(point))


def _cluster() -> Any:
    try:
        from fame_lab.experiments.sweep import dask_cluster as cluster
    except ImportError as error:
        raise HostError(
            f"a sweep on a cluster takes Dask: pip install 'fame_lab[cluster]' ({error})"
        ) from error
    return cluster


def _usual_directory(plan: Plan) -> Path:
    text = json.dumps(plan.settings(), sort_keys=True)
    return Path("sweeps") / f"{plan.probe}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, eq=False)
class Sweep:
    """The measurements of a sweep. They can be loaded and drawn without a lab.

    Parameters
    ----------
    dataset : xarray.Dataset
        As :func:`fame_lab.sweep` returns it.
    """

    dataset: xr.Dataset

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Sweep:
        """Load a sweep. One that runs, or was killed, has missing points.

        Parameters
        ----------
        directory : path

        Returns
        -------
        Sweep

        Raises
        ------
        SpecError
            If there is no sweep, or this version cannot read it.
        ProbeError
            If none of its points has been measured.
        """
        folder = SweepStore(directory)
        plan, finished = folder.plan(), folder.done()
        results = {point: folder.result(point) for point in plan.points if point.number in finished}
        waiting = [point for point in plan.points if point.number not in finished]
        failures = {point: failure for point in waiting if (failure := folder.failure(point)) is not None}
        if not results:
            why = next((f": {each.kind}: {each.error}" for each in failures.values()), "")
            raise ProbeError(f"no point of the sweep in {str(folder.path)!r} has been measured{why}")
        try:
            return cls(combined(plan, results, failures))
        except BROKEN as error:
            raise SpecError(
                f"the points in {str(folder.path)!r} are not those of one sweep: {error}"
            ) from error

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """The manifests of the measured points, in the order of their measurement."""
        order = self.dataset["run_order"].values.flat
        texts = self.dataset["manifest"].values.flat
        return [json.loads(text) for _, text in sorted(zip(order, texts, strict=True)) if text]

    def plot(self) -> Figure:
        """Draw the probe's main quantity over the first axis, a line a value of the second."""
        from fame_lab.experiments.sweep.plot import plot  # it imports matplotlib

        return plot(self.dataset, self.manifests)
