"""How points are dealt to workers; that they measure them is in ``test_sweeps_vm``."""

from pathlib import Path

import pytest
from test_sweeps_plan import a_plan

from fame_lab import sweep
from fame_lab.errors import HostError
from fame_lab.sweeps import cluster
from fame_lab.sweeps.cluster import _next


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


def test_where_no_scheduler_answers_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_ANSWER", 0.5)
    for address in ("tcp://127.0.0.1:1", "nowhere"):
        with pytest.raises(HostError, match=f"no Dask scheduler answers at '{address}'"):
            sweep("chase", {"nodes": [1]}, directory=tmp_path / address[:3], cluster=address)
