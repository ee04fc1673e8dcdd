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

    Each point is on disk as soon as it is measured. Asked for again, also after a kill, it goes on where it
    was, and measures nothing twice that is done; points that failed are tried again.

    The order is random within blocks: each repeat goes through all labs, in an order of its own, and in each
    of them through all its points, in an order of their own. So a host that warms up or gets busy is not
    taken for an effect of what is swept, and yet a lab is started once a repeat only. (A randomized block
    design of split plots: Montgomery, Design and Analysis of Experiments, on blocking and on split plots.
    Why repeats are to start at the top, with a lab of their own: Kalibera and Jones, Rigorous Benchmarking
    in Reasonable Time, ISMM 2013.)

    Parameters
    ----------
    probe : str
        As of :meth:`fame_lab.Lab.probe`.
    over : mapping of str to sequence
        What is swept: fields of a :class:`fame_lab.LabSpec`, such as ``nodes``, and parameters of the probe,
        each with its values. A name that both have is the lab's. A parameter that takes several values may be
        named in the singular: ``stride`` gives ``strides`` one value at each point, and takes the place of
        the probe's own dimension. Sizes may be written as ``"4K"``.
    repeats : int
        How often each combination is measured.
    spec : LabSpec, optional
        Of every lab, but for what is swept; each lab gets a name of its own, which begins with this one.
    seed : int
        Of the order. A probe's own ``seed`` can be swept.
    directory : path, optional
        Where the sweep is kept; made if it is not there. By default ``sweeps/PROBE-…`` where you are, the
        same for the same arguments.
    cluster : str or distributed.Client, optional
        Measure on many machines: the address of the scheduler of a Dask cluster, such as
        ``"tcp://host:8786"``. Each worker has one lab at a time. Every host needs this package. **Dask runs
        whatever code it is sent by whoever reaches its scheduler or workers: only in a network that
        you trust.**
    progress : bool
        Whether a bar shows how far it is, and the time left.
    **parameters
        Of the probe, at every point.

    Returns
    -------
    xarray.Dataset
        What the probe measures, with a dimension for each key of `over`, and ``repeat``, before the probe's
        own; units in ``attrs``. Where points differ in the probe's dimensions they are joined, and NaN (or
        empty text) where one has none. The coordinates of each point (axes, repeat): ``host``, where it was
        measured; ``accelerator``; ``time``, UTC; ``run_order``, from 0; ``failed``, what must not happen and
        did; ``error``, why there are no numbers; ``manifest``, as JSON. What the probe told in ``attrs`` and
        points differ in is a coordinate, too. ``attrs``: ``probe``, ``axes``, ``sweep_seed``, ``missing``
        (how many points have no numbers), ``failed`` and ``errors`` in short. :class:`Sweep` draws it.

    Raises
    ------
    SpecError
        If anything cannot be right, before the first lab starts; or the directory holds a sweep that was
        asked for otherwise, or one that is at work. Also if the probe refuses the first point.
    HostError
        If a host cannot measure, or what was measured cannot be saved. What is done is kept.
    ProbeError
        If no point could be measured. Of one that could not, while others can, the dataset tells.

    Examples
    --------
    >>> sweep("pingpong", over={"nodes": [2, 4], "variants": ["store", "cas"]}, repeats=3)  # doctest: +SKIP
    """
    asked = Plan.make(probe, over, repeats=repeats, seed=seed, spec=spec, parameters=parameters)
    folder = SweepStore(_usual_directory(asked) if directory is None else directory)
    with folder.taken_up(asked) as plan:
        done = folder.done()
        waiting = [point for point in plan.points if point.number not in done]
        if waiting:
            before = f", {len(done)} points done before" if done else ""
            what = f"sweep of {probe}{before}"
            with job(what, total=len(waiting), unit="point", shown=progress) as running:
                keep = _Keeper(folder, running, bool(done))
                if cluster is None:
                    _measure_here(plan, waiting, keep, progress=progress)
                else:
                    _cluster().measure(plan, waiting, keep, cluster)
        made = Sweep.load(folder.path)
        keep_for_report(f"sweep_of_{probe}", lambda place: _copy(folder, made, place))
    if made.dataset.attrs["errors"]:
        log.warning(
            "%s points of the sweep could not be measured: %s; the same call tries them again",
            made.dataset.attrs["missing"],
            made.dataset.attrs["errors"],
        )
    return made.dataset


def _copy(folder: SweepStore, made: Sweep, place: Path) -> None:
    """Copy a sweep into a report, with what the manifests of all its points say alike."""
    shutil.copytree(folder.path, place, dirs_exist_ok=True)
    first, *others = made.manifests
    alike = {key: held for key, held in first.items() if all(each.get(key) == held for each in others)}
    (place / "manifest.json").write_text(json.dumps({"manifest": alike}, indent=1) + "\n")


class _Keeper:
    """Saves what comes of points, and tells the job."""

    def __init__(self, folder: SweepStore, running: Job, any_done: bool) -> None:
        self._folder, self._running, self._any_done = folder, running, any_done

    def __call__(self, point: Point, outcome: Result | Failure) -> None:
        self._folder.keep(point, outcome)
        if isinstance(outcome, Result):
            self._any_done = True
        elif outcome.kind == SpecError.__name__ and not self._any_done:
            # It is most likely what was asked for all points: not worth the start of every lab.
            raise SpecError(f"the sweep ended at its first point: {outcome.error}")
        self._running.step()


def _measure_here(plan: Plan, waiting: list[Point], keep: _Keeper, *, progress: bool) -> None:
    with PointRunner(plan, progress=progress) as bench:
        for point in waiting:
            keep(point, bench.measure(point))


def _cluster() -> Any:
    try:
        from fame_lab.experiments.sweep import dask_cluster as cluster
    except ImportError as error:
        raise HostError(
            f"a sweep on a cluster takes Dask: pip install 'fame_lab[cluster]' ({error})"
        ) from error
    return cluster


def _usual_directory(plan: Plan) -> Path:
    text = json.dumps(plan.asked(), sort_keys=True)
    return Path("sweeps") / f"{plan.probe}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, eq=False)
class Sweep:
    """What a sweep measured. It needs no lab: it can be loaded and drawn without one.

    Parameters
    ----------
    dataset : xarray.Dataset
        As :func:`fame_lab.sweep` gives it.
    """

    dataset: xr.Dataset

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Sweep:
        """Load what there is of a sweep; one that runs, or was killed, has points missing.

        Parameters
        ----------
        directory : path

        Returns
        -------
        Sweep

        Raises
        ------
        SpecError
            If there is no sweep, or one that this version cannot read.
        ProbeError
            If none of its points has been measured.
        """
        folder = SweepStore(directory)
        plan, done = folder.plan(), folder.done()
        results = {point: folder.result(point) for point in plan.points if point.number in done}
        told = {point: folder.failure(point) for point in plan.points if point.number not in done}
        failures = {point: failure for point, failure in told.items() if failure is not None}
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
        """Where each point that was measured comes from, in the order in which they were."""
        order = self.dataset["run_order"].values.flat
        told = self.dataset["manifest"].values.flat
        return [json.loads(text) for _, text in sorted(zip(order, told, strict=True)) if text]

    def plot(self) -> Figure:
        """Draw the probe's main quantity over the first axis, a line a value of the second."""
        from fame_lab.experiments.sweep.plot import plot  # with it comes matplotlib

        return plot(self.dataset, self.manifests)
