import math
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fame_lab import probes
from fame_lab.core import native
from fame_lab.errors import CommandError, ProbeError
from fame_lab.probes import timer
from fame_lab.probes.common.clock_sync import ClockSync, Readings
from fame_lab.results.result import Result
from fame_lab.testing import LocalLab, LocalNode

QUICK: dict[str, Any] = {"batches": 30, "seconds": 0.3}


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path)


def test_each_node_tells_cost_step_frequency_and_ratio(lab: Any) -> None:
    result = timer.run(lab, **QUICK)
    data = result.dataset
    assert dict(data["cost"].sizes) == {"read": 2, "node": 2, "batch": 30}
    assert data["read"].values.tolist() == ["clock", "tsc"]
    assert data["cost"].attrs["units"] == "ns"
    assert data["preempted"].dtype == bool
    assert data["difference"].dims == ("node", "look")
    for node in range(2):
        differences = data["difference"].values[node]
        assert data["step"].values[node] == differences[differences > 0].min()
    assert (data["tsc_khz"] > 1e5).all()
    assert set(data["mapping"].values) == {"unknown"}
    assert set(result.manifest["timer"]) == {"node01", "node02"}


def test_the_ratio_is_that_of_the_readings_that_are_kept(lab: Any) -> None:
    data = timer.run(lab, **QUICK).dataset
    for node in range(2):
        columns = [data[name].values[node] for name in ("host_before", "guest_clock", "host_after")]
        whole = [column[~np.isnan(column)].astype(np.int64) for column in columns]
        ratio = Readings("node", *whole).ratio()
        names = ("clock_ratio", "clock_ratio_low", "clock_ratio_high")
        assert ratio == tuple(data[name].values[node] for name in names)
        assert ratio[1] <= ratio[0] <= ratio[2]


def test_the_hosts_own_clock_is_within_the_bounds(lab: Any) -> None:
    # These nodes are processes of this host: they have its clock, so that the ratio is 1.
    data = timer.run(lab, **QUICK).dataset
    assert (data["clock_ratio_low"] <= 1).all()
    assert (data["clock_ratio_high"] >= 1).all()


def test_the_users_fam_is_left_alone(lab: Any) -> None:
    timer.run(lab, **QUICK)
    assert lab.fam.read(0, lab.fam.control.offset) == bytes(lab.fam.control.offset)


def test_a_node_that_is_not_there_is_refused(lab: Any) -> None:
    with pytest.raises(ProbeError, match="there are node01, node02"):
        timer.run(lab, nodes=[2])


def test_every_result_has_the_clocks_in_its_manifest(lab: Any) -> None:
    result = probes.run(lab, "chase", working_sets=["4K"], orders="random", batches=30)
    assert set(result.manifest["timer"]) == {"node01", "node02"}
    clock = result.manifest["timer"]["node01"]
    assert 0 < clock["clock_ns_min"] <= clock["clock_ns"]
    assert clock["step_ns"] > 0
    assert clock["tsc_khz"] > 1e5
    assert clock["mapping"] == "unknown"
    if clock["guest_over_host"] is None:  # where a busy host answered too few questions
        assert clock["why"]
    else:
        assert math.isclose(clock["guest_over_host"], 1, abs_tol=clock["guest_over_host_bound"] + 1e-12)


def test_the_timer_itself_is_measured_once(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(timer, "short")
    assert "timer" in probes.run(lab, "timer", **QUICK).manifest


class DeadNode(LocalNode):
    """A node that is gone."""

    def probe(self, *_: str, **__: Any) -> list[dict[str, Any]]:
        raise CommandError(f"{self.name} is gone")


class LyingNode(LocalNode):
    """A node that tells what `lie` makes of its lines."""

    lie: Any = None

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = type(self).lie(super().probe(*words, **options))
        return lines


def test_a_node_that_is_gone_is_named_and_does_not_spoil_the_others_short_form(lab: Any) -> None:
    lab.nodes[1] = DeadNode("node02", 1, lab.fam.path)
    clocks = timer.short(lab)
    assert clocks["node02"] == {"error": "node02 is gone"}
    assert clocks["node01"]["step_ns"] > 0
    with pytest.raises(CommandError, match="node02 is gone"):
        timer.run(lab, **QUICK)


@pytest.mark.parametrize(
    "lie",
    [
        lambda lines: lines[:-1],
        lambda lines: [*lines[1:], lines[0]],
        lambda lines: [line | {"khz": -1} for line in lines],
        lambda lines: [line | {"difference_ns": [0] * 1000} for line in lines],
        lambda lines: [line | {"difference_ns": [1] * 999} for line in lines],
        lambda lines: [line | {"reads": 0} for line in lines],
        lambda lines: [line | {"mapping": "<b>"} for line in lines],
    ],
)
def test_nonsense_gives_no_number(lab: Any, lie: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.nodes[0] = LyingNode("node01", 0, lab.fam.path)
    monkeypatch.setattr(LyingNode, "lie", lie)
    with pytest.raises(ProbeError, match="node01"):
        timer.run(lab, nodes=[0], **QUICK)


class DeafNode(LocalNode):
    """A node whose answers the host never sees."""

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        at = words.index("--answer") + 1
        return super().probe(*words[:at], "0", *words[at + 1 :], **options)


def test_a_node_whose_answers_do_not_come_has_no_ratio(lab: Any) -> None:
    lab.nodes[0] = DeafNode("node01", 0, lab.fam.path)
    clock = timer.short(lab)["node01"]
    assert clock["guest_over_host"] is None
    assert "answered 0 questions" in clock["why"]
    with pytest.raises(ProbeError, match="node01 answered 0 questions"):
        timer.run(lab, nodes=[0], **QUICK)


def readings(before: list[int], guest: list[int], after: list[int]) -> Readings:
    return Readings("node01", *(np.array(column, np.int64) for column in (before, guest, after)))


def test_two_readings_bound_the_ratio() -> None:
    # 1 % slow, and it is known within 2 ns at either end.
    ratio, low, high = readings([0, 10_000], [500, 10_400], [2, 10_002]).ratio()
    assert (ratio, low, high) == (9900 / 10_000, 9900 / 10_002, 9900 / 9_998)


def test_one_wide_reading_does_not_spoil_the_others() -> None:
    before, after = [0, 1000, 2000, 900_000, 990_000], [100_000, 1001, 2001, 900_001, 1_900_000]
    ratio, low, high = readings(before, [50_000, 1000, 2000, 900_000, 1_500_000], after).ratio()
    assert ratio == 1
    assert high - low < 1e-5


@pytest.mark.parametrize(
    ("before", "guest", "after"),
    [
        ([], [], []),
        ([0], [5], [9]),
        ([0, 100], [0, 100], [40, 140]),
        ([0, 10_000], [700, 300], [2, 10_002]),
    ],
)
def test_readings_that_tell_too_little_give_no_ratio(
    before: list[int], guest: list[int], after: list[int]
) -> None:
    with pytest.raises(ProbeError, match="node01"):
        readings(before, guest, after).ratio()


def test_an_answer_that_comes_late_is_the_right_questions(lab: Any) -> None:
    fam, control = lab.fam, lab.fam.control
    with ClockSync(lab, lab.nodes[:1]) as watch:
        # The node begins when the watch has long been asking, and stops in the middle of it.
        time.sleep(0.05)
        command = [
            str(native.PROBE.binary()),
            "timer",
            "--fam",
            str(fam.path),
            "--ms",
            "5000",
            "--batches",
            "30",
        ]
        places = ["--question", str(control.question(0)), "--answer", str(control.answer(0))]
        node = subprocess.Popen([*command, *places, "--batch-us", "100"], stdout=subprocess.DEVNULL)
        while fam.read(control.answer(0), 8) == bytes(8):
            time.sleep(0.01)
        time.sleep(0.05)
        node.kill()
        node.wait()
        time.sleep(0.05)
    reading = watch.readings()["node01"]
    assert reading.guest.size > 1
    assert (reading.after > reading.before).all()
    # Nothing is heard of it after it stopped, though the last answer is still there.
    assert np.diff(reading.guest).min() >= 0
    assert reading.guest.size == len(set(reading.before.tolist()))
    low, high = reading.ratio()[1:]
    assert low <= 1 <= high


def test_the_watch_leaves_the_callers_cores_alone(lab: Any) -> None:
    before = os.sched_getaffinity(0)
    timer.short(lab)
    assert os.sched_getaffinity(0) == before


def test_the_plot_says_what_it_shows_from_data_alone(lab: Any, tmp_path: Path) -> None:
    timer.run(lab, **QUICK).save(tmp_path / "kept")
    figure = Result.load(tmp_path / "kept").plot()
    costs, ratios = figure.axes
    assert costs.get_xlabel() == "time [ns]"
    assert ratios.get_xlabel() == "guest clock / host clock - 1 [ppm]"
    assert [label.get_text().split(",")[0] for label in costs.get_yticklabels()] == ["node01", "node02"]
    assert costs.get_legend_handles_labels()[1] == ["reading the clock", "rdtsc", "the clock's step"]
    assert "emulated (TCG on this host)" in figure.get_supxlabel()
    assert "n = 30 batches" in figure.get_supxlabel()


def test_too_few_cores_are_flagged(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    result = timer.run(lab, **QUICK)
    assert bool(result.dataset["oversubscribed"])
    assert "oversubscribed" in result.plot().get_supxlabel()
