from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from repeating_node import Answers, RepeatingNode

from fame_lab.errors import ProbeError, SpecError, SSHError
from fame_lab.probes import visibility
from fame_lab.results.result import Result
from fame_lab.testing import LocalLab, LocalNode


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Result:
    lab: Any = LocalLab.make(tmp_path_factory.mktemp("measured"))
    return visibility.run(lab, batches=30, exchanges=20)


def test_every_exchange_is_kept_with_its_raw_times(measured: Result) -> None:
    data = measured.dataset
    assert dict(data["one_way"].sizes) == {"end": 2, "exchange": 600}
    assert data["host_round_trip"].sizes == {"look": 600}
    timed = ("store", "sight", "answer", "one_way", "round_trip", "host_round_trip", "timer", "clock_step")
    assert {data[name].attrs["units"] for name in timed} == {"ns"}
    assert (data["answer"] - data["store"] == data["round_trip"]).all()
    assert (data["writer"].item(), data["reader"].item()) == ("node01", "node02")
    assert data["burst"].values.tolist() == [burst for burst in range(30) for _ in range(20)]
    assert data["one_way_summary"].dims == ("statistic", "end")
    assert not measured.failed


def test_an_interval_lies_between_nothing_and_the_round_trip(measured: Result) -> None:
    low, high = measured.dataset["one_way"].values
    assert (low >= 0).all()
    assert (low <= high).all()
    assert (high <= measured.dataset["round_trip"].values).all()


def test_the_interval_holds_what_one_clock_for_both_sides_shows(measured: Result) -> None:
    # Both processes run on this host: here, and only here, the two clocks are one.
    data = measured.dataset
    low, high = data["one_way"].values
    true = (data["sight"] - data["store"]).values
    assert (low <= true).all()
    assert (true <= high).all()


def test_it_begins_well_after_a_run_that_left_in_the_middle_and_stays_in_its_256_bytes(lab: Any) -> None:
    lab.fam.write(0, b"\xff" * 1024)
    visibility.run(lab, nodes=("node02", 0), offset=256, batches=30, exchanges=1)
    assert lab.fam.read(0, 256) == b"\xff" * 256
    assert lab.fam.read(512, 256) == b"\xff" * 256


@pytest.mark.parametrize(
    "parameters",
    [
        {"nodes": (0,)},
        {"nodes": "01"},
        {"offset": "4M"},
        {"batches": 1000, "exchanges": 1000},
    ],
)
def test_a_parameter_that_cannot_be_is_refused(lab: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        visibility.run(lab, **parameters)


def test_one_node_alone_gives_no_number(tmp_path: Path) -> None:
    lab: Any = LocalLab.make(tmp_path, nodes=1)
    with pytest.raises(ProbeError, match="there is no node 1"):
        visibility.run(lab)


@dataclass(frozen=True, eq=False)
class LyingNode(RepeatingNode):
    """A node that reports what it likes in one role."""

    role: str = ""
    lie: dict[str, Any] = field(default_factory=dict)

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        role = words[words.index("--role") + 1]
        # The host takes part in the echo.
        run = LocalNode.probe if role == "echo" else RepeatingNode.probe
        lines = run(self, *words, **options)
        return [line | self.lie for line in lines] if role == self.role else lines


@pytest.fixture(scope="module")
def answers() -> Answers:
    return {}


@pytest.mark.parametrize(
    ("number", "role", "lie", "match"),
    [
        (0, "writer", {"burst": 0}, "'burst'"),
        (0, "writer", {"store": [5]}, "'answer'|clock went back"),
        (0, "writer", {"answer": [1]}, "clock went back"),
        (1, "reader", {"sight": [1, 2]}, "'sight'"),
        (1, "reader", {"sight": [1 << 63]}, "'sight'"),
        (1, "reader", {"sight": [7]}, "contradict each other"),
        (1, "reader", {"step_ns": 0}, "'step_ns'"),
        (1, "reader", {"role": "writer"}, "'role'"),
        (1, "echo", {"messages": 12}, "says that it answered 12 of 33 stores"),
    ],
)
def test_a_node_that_lies_gives_no_number(
    lab: Any, answers: Answers, number: int, role: str, lie: dict[str, Any], match: str
) -> None:
    lab.nodes[:] = [
        LyingNode(each.name, each.index, each.fam, answers, role if each.index == number else "", lie)
        for each in lab.nodes
    ]
    with pytest.raises(ProbeError, match=match):
        visibility.run(lab, batches=30, exchanges=1)


@dataclass(frozen=True, eq=False)
class DyingNode(LocalNode):
    """A node that goes away in one role, having told how far it got."""

    role: str = ""

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        if words[words.index("--role") + 1] != self.role:
            return super().probe(*words, **options)
        at = int(words[words.index("--progress") + 1])
        with self.fam.open("r+b") as file:
            file.seek(at)
            file.write((12).to_bytes(8, "little"))
        raise SSHError(f"{self.name} went away during the probe")


@pytest.mark.parametrize(
    ("number", "role", "match"),
    [
        (0, "writer", "node01 had done 12 bursts .*other one was released"),
        (1, "reader", "node02 had done 12 bursts .*other one was released"),
        (1, "echo", "node02 had done 12 answers when it failed"),
    ],
)
def test_a_node_that_dies_is_named_and_nobody_waits_for_it(
    lab: Any, number: int, role: str, match: str
) -> None:
    lab.nodes[number] = DyingNode(f"node{number + 1:02}", number, lab.fam.path, role)
    with pytest.raises(ProbeError, match=match):
        visibility.run(lab, batches=30, peer_timeout=3600)


def test_the_plot_says_what_it_shows_from_data_alone(measured: Result, tmp_path: Path) -> None:
    figure = Result.load(measured.save(tmp_path / "kept")).plot()
    [axes] = figure.axes
    assert (axes.get_xlabel(), axes.get_xscale()) == ("time", "log")
    figure.draw_without_rendering()
    assert "1 µs" in [label.get_text() for label in axes.get_xticklabels()]
    labels = [label.split(":")[0] for label in axes.get_legend_handles_labels()[1]]
    assert labels == [
        "one way, at least",
        "one way, at most",
        "round trip",
        "host to node02 and back, through numpy",
    ]
    assert figure.get_suptitle().startswith("From a store on node01 to its first sight on node02")
    assert "emulated (TCG on this host): not a fabric's latency" in figure.get_supxlabel()
    assert "n = 600 exchanges" in figure.get_supxlabel()
    last = axes.get_lines()[0].get_xydata()
    assert np.asarray(last)[-1, 1] == 1


def test_a_run_on_too_few_cores_is_flagged(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    result = visibility.run(lab, batches=30, exchanges=1)
    assert bool(result.dataset["oversubscribed"])
    assert "oversubscribed" in result.plot().get_supxlabel()
