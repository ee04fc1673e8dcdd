import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from repeating_node import Answers, RepeatingNode, repeating

from fame_lab.errors import ProbeError, SpecError, SSHError
from fame_lab.probes import ring
from fame_lab.results.result import Result
from fame_lab.testing import LocalLab, LocalNode


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Result:
    lab: Any = LocalLab.make(tmp_path_factory.mktemp("measured"))
    return ring.run(lab)


def test_every_batch_of_every_size_is_kept_and_no_message_is_wrong(measured: Result) -> None:
    data = measured.dataset
    assert dict(data["message_rate"].sizes) == {"message_size": 5, "batch": 30}
    assert data["message_size"].values.tolist() == [8, 64, 256, 1024, 4096]
    assert (data["producer"].item(), data["consumer"].item()) == ("node01", "node02")
    assert (data["message_rate"].attrs["units"], data["throughput"].attrs["units"]) == ("1/s", "GB/s")
    assert data["preempted"].sizes == data["message_rate"].sizes
    assert not measured.failed
    assert (data["wrong"] == 0).all()


def test_bytes_are_messages_times_their_size(measured: Result) -> None:
    data = measured.dataset
    expected = data["message_rate"] * data["message_size"] / 1e9
    np.testing.assert_allclose(data["throughput"], expected.transpose(*data["throughput"].dims))


def test_batches_are_whole_laps_and_part_of_all_messages(measured: Result) -> None:
    data = measured.dataset
    assert (data["operations"] % 64 == 0).all()
    assert (data["messages"] > 30 * data["operations"]).all()


def test_slots_and_nodes_can_be_chosen(lab: Any) -> None:
    data = ring.run(lab, nodes=("node02", 0), message_sizes=["1K"], slots=2, offset=128).dataset
    assert data["producer"].item() == "node02"
    assert (data.attrs["slots"], data.attrs["offset"]) == (2, 128)
    assert data["operations"].item() % 2 == 0


def test_it_begins_well_after_a_run_that_left_in_the_middle_and_stays_in_its_range(lab: Any) -> None:
    lab.fam.write(0, b"\xff" * 8192)
    result = ring.run(lab, message_sizes=[24], slots=8, offset=1024)
    assert not result.failed
    assert lab.fam.read(0, 1024) == b"\xff" * 1024
    assert lab.fam.read(1024 + 256 + 24 * 8, 1024) == b"\xff" * 1024


@pytest.mark.parametrize(
    "parameters",
    [
        {"slots": 65536, "message_sizes": [64]},  # more than the file has
        {"nodes": (0,)},
        {"nodes": "01"},
    ],
)
def test_a_parameter_that_cannot_be_is_refused(lab: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        ring.run(lab, **parameters)


def test_one_node_alone_gives_no_number(tmp_path: Path) -> None:
    lab: Any = LocalLab.make(tmp_path, nodes=1)
    with pytest.raises(ProbeError, match="there is no node 1"):
        ring.run(lab)
    with pytest.raises(ProbeError, match="each node can be there once"):
        ring.run(lab, nodes=(0, "node01"))


@dataclass(frozen=True, eq=False)
class ScribblingNode(LocalNode):
    """A node that writes to some words of FAM, over and over, while the probe runs."""

    words: slice = field(default_factory=lambda: slice(0))
    value: int = 0

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        over = threading.Event()
        fam = np.memmap(self.fam, "u8", "r+")

        def scribble() -> None:
            while not over.is_set():
                fam[self.words] = self.value

        thread = threading.Thread(target=scribble)
        thread.start()
        try:
            return super().probe(*words, **options)
        finally:
            over.set()
            thread.join()


def test_a_message_that_is_not_what_was_sent_fails_the_result(lab: Any, tmp_path: Path) -> None:
    slots = slice(256 // 8 + 5, 256 // 8 + 64 * 8, 8)  # word 5 of each
    lab.nodes[1] = ScribblingNode("node02", 1, lab.fam.path, slots, 0xBAD)
    result = ring.run(lab, message_sizes=[64])
    assert result.dataset["wrong"].item() > 0
    assert "messages of 64 bytes were not what was sent" in result.failed
    assert "whose word 5 was 0xbad instead of 0x" in result.failed
    figure = Result.load(result.save(tmp_path / "kept")).plot()
    assert "FAILED" in figure.get_suptitle()


@dataclass(frozen=True, eq=False)
class LyingNode(RepeatingNode):
    """A node that reports what it likes."""

    lie: dict[str, Any] = field(default_factory=dict)

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        return [line | self.lie for line in super().probe(*words, **options)]


@pytest.fixture(scope="module")
def answers() -> Answers:
    return {}


@pytest.mark.parametrize(
    ("role", "lie", "match"),
    [
        (0, {"messages": 12}, "node01 sent 12 messages and node02 received"),
        (1, {"messages": 12}, "node02 received 12"),
        (1, {"batch_messages": 1 << 40}, "node02 timed"),
        (1, {"wrong": 1 << 63}, "'wrong'"),
        (1, {"wrong": 1, "first_wrong": 0}, "'first_wrong'"),
        (1, {"slots": 32}, "'slots'"),
        (0, {"message_size": 16}, "'message_size'"),
        (0, {"preempted": [0]}, "'preempted'"),
        (0, {"role": "consumer"}, "'role'"),
    ],
)
def test_a_node_that_lies_gives_no_number(
    lab: Any, answers: Answers, role: int, lie: dict[str, Any], match: str
) -> None:
    repeating(lab, answers)
    lab.nodes[role] = LyingNode(f"node{role + 1:02}", role, lab.fam.path, answers, lie)
    with pytest.raises(ProbeError, match=match):
        ring.run(lab, message_sizes=[8])


class DyingNode(LocalNode):
    """A node that goes away in the middle, having told how far it got."""

    def probe(self, *words: str, **_: Any) -> list[dict[str, Any]]:
        at = int(words[words.index("--progress") + 1])
        with self.fam.open("r+b") as file:
            file.seek(at)
            file.write((12).to_bytes(8, "little"))
        raise SSHError(f"{self.name} went away during the probe")


@pytest.mark.parametrize("role", [0, 1])
def test_a_node_that_dies_is_named_and_the_other_is_released(lab: Any, role: int) -> None:
    lab.nodes[role] = DyingNode(f"node{role + 1:02}", role, lab.fam.path)
    with pytest.raises(ProbeError, match=rf"node{role + 1:02} had done 12 batches .*other one was released"):
        ring.run(lab, peer_timeout=3600)


def test_an_index_outside_the_ring_ends_it(lab: Any) -> None:
    tail = slice(128 // 8, 128 // 8 + 1)
    lab.nodes[1] = ScribblingNode("node02", 1, lab.fam.path, tail, 1 << 60)
    with pytest.raises(ProbeError, match=r"the tail is \d+ messages ahead in a ring of 64"):
        ring.run(lab, message_sizes=[8])


def test_the_plot_says_what_it_shows_from_data_alone(measured: Result, tmp_path: Path) -> None:
    figure = Result.load(measured.save(tmp_path / "kept")).plot()
    rate, throughput = figure.axes
    assert rate.get_ylabel() == "messages [million/s]"
    assert throughput.get_ylabel() == "throughput [GB/s]"
    assert {axes.get_yscale() for axes in figure.axes} == {"log"}
    assert figure.get_suptitle() == "Ring of 64 slots from node01 to node02"
    assert "emulated (TCG on this host): not a fabric's latency" in figure.get_supxlabel()
    assert "n = 30 batches a size" in figure.get_supxlabel()


def test_a_ring_on_too_few_cores_is_flagged(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    result = ring.run(lab, message_sizes=8)
    assert bool(result.dataset["oversubscribed"])
    assert "oversubscribed" in result.plot().get_supxlabel()
