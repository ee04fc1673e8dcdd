"""How points are dealt to workers; that they measure them is in ``test_sweep_vm``."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import distributed
import pytest
from made_plan import a_plan
from repository import SUPPORT

from fame_lab import sweep
from fame_lab.core.jobs.progress import listen
from fame_lab.errors import HostError
from fame_lab.experiments.sweep import dask_cluster
from fame_lab.experiments.sweep.dask_cluster import WorkerLab, _next


def test_a_worker_goes_on_in_its_lab() -> None:
    plan = a_plan()
    first, *waiting = plan.points
    last = plan.points[0]
    for _ in range(2):
        chosen = _next(plan, waiting, last, set())
        assert plan.block_of(chosen) == plan.block_of(first)
        waiting.remove(chosen)
    assert plan.block_of(_next(plan, waiting, last, set())) != plan.block_of(first)


def test_a_worker_begins_in_a_lab_that_no_other_has_while_there_is_one() -> None:
    plan = a_plan()
    first, *waiting = plan.points
    busy = {plan.block_of(first)}
    assert plan.block_of(_next(plan, waiting, None, busy)) not in busy
    only = [point for point in waiting if plan.block_of(point) in busy]
    assert _next(plan, only, None, busy) == only[0]


def test_no_worker_goes_ahead_to_the_next_repeat() -> None:
    plan = a_plan()
    last = plan.points[0]
    waiting = [point for point in plan.points if plan.block_of(point) != plan.block_of(last)]
    assert _next(plan, waiting, last, {plan.block_of(waiting[0])}).repeat == 0


def test_a_worker_that_measures_is_not_profiled() -> None:
    stopped: list[str] = []
    profiler = SimpleNamespace(stop=lambda: stopped.append("profile"))
    worker: Any = SimpleNamespace(periodic_callbacks={"profile": profiler})
    WorkerLab(a_plan()).setup(worker)
    assert stopped == ["profile"]
    assert worker.periodic_callbacks == {}  # nor started anew


def test_where_no_scheduler_answers_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "_ANSWER", 0.5)
    for address in ("tcp://127.0.0.1:1", "nowhere"):
        with pytest.raises(HostError, match=f"no Dask scheduler answers at '{address}'"):
            sweep("chase", {"nodes": [1]}, directory=tmp_path / address[:3], cluster=address)


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stand-ins for labs are while they run, and what they were asked."""
    return tmp_path_factory.mktemp("labs")


@pytest.fixture(scope="module")
def client(labs: Path) -> Iterator[distributed.Client]:
    """Two workers, each a process, whose labs are stand-ins."""
    here = str(SUPPORT)
    environment = {"STAND_IN_LABS": str(labs), "PYTHONPATH": os.pathsep.join([here, *sys.path])}
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, dashboard_address=None, silence_logs=50, env=environment,
            preload=[str(Path(here) / "stand_in_worker.py")],
        ) as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        yield client


OVER: dict[str, Any] = {"nodes": [1, 2], "stride": [64, 128]}


def running(labs: Path) -> list[str]:
    return [path.name for path in labs.iterdir() if path.name != "asked"]


def request_count(labs: Path) -> int:
    return len((labs / "asked").read_text().splitlines()) if (labs / "asked").exists() else 0


def done(directory: Path) -> int:
    return len(list(directory.glob("points/[0-9]*/manifest.json")))


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_each_worker_has_one_lab_at_a_time_and_none_in_the_end(
    client: distributed.Client, labs: Path, tmp_path: Path
) -> None:
    before = request_count(labs)
    most = []

    def look(*_: object) -> None:
        most.append(len(running(labs)))

    with listen(look):
        dataset = sweep("chase", OVER, repeats=2, directory=tmp_path, cluster=client)
    assert dataset.attrs["missing"] == 0
    assert request_count(labs) == before + 8
    assert 0 < max(most) <= 2
    assert running(labs) == []


SWEEP = """
import sys
from fame_lab import sweep
over = {"nodes": [1, 2], "stride": [64, 128]}
sweep("chase", over, repeats=2, directory=sys.argv[1], cluster=sys.argv[2], progress=False)
"""


def test_a_killed_sweep_leaves_no_lab_on_its_workers_and_is_taken_up(
    client: distributed.Client, labs: Path, tmp_path: Path
) -> None:
    before = request_count(labs)
    address = client.scheduler_info()["address"]
    words: list[str] = [sys.executable, "-c", SWEEP, str(tmp_path), address]
    with subprocess.Popen(words) as killed:
        wait_until(lambda: done(tmp_path) >= 2)
        killed.kill()
    wait_until(lambda: running(labs) == [])
    assert done(tmp_path) < 8
    sweep("chase", OVER, repeats=2, directory=tmp_path, cluster=address)
    assert done(tmp_path) == 8
    assert (
        request_count(labs) <= before + 8 + 2 * 2
    )  # what was at work on the two workers, and came to nothing


def test_a_point_whose_worker_is_killed_is_measured_by_another(
    client: distributed.Client, labs: Path, tmp_path: Path
) -> None:
    before = request_count(labs)
    pids = client.run(os.getpid)

    def kill() -> None:
        wait_until(lambda: request_count(labs) > before + 2)
        os.kill(next(iter(pids.values())), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    dataset = sweep("chase", OVER, repeats=2, directory=tmp_path, cluster=client)
    killer.join()
    assert dataset.attrs["missing"] == 0 and (dataset["error"] == "").all()
    assert request_count(labs) <= before + 8 + 1
