import itertools
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dying_node import DyingNode
from repeating_node import RepeatingNode, repeating

from fame_lab.errors import ProbeError, SpecError
from fame_lab.probes import pingpong
from fame_lab.probes.common import barrier
from fame_lab.results.result import Result
from fame_lab.testing import LocalLab, LocalNode


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path)


@pytest.fixture
def four(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path, nodes=4)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Result:
    lab: Any = LocalLab.make(tmp_path_factory.mktemp("measured"))
    return pingpong.run(lab, batches=30)


def test_every_batch_of_every_variant_is_kept(measured: Result) -> None:
    data = measured.dataset
    assert dict(data["latency"].sizes) == {"variant": 4, "batch": 30}
    assert data["variant"].values.tolist() == ["one-line", "two-lines", "cas", "fetch-add"]
    assert data["latency"].attrs["units"] == "ns"
    assert (data["initiator"].item(), data["responder"].item()) == ("node01", "node02")
    assert data["oversubscribed"].dtype == bool
    assert (data["latency"] > 0).all()
    assert (data["latency_summary"].sel(statistic="p50") > 0).all()
    assert (data["operations"] > 0).all()


def test_of_all_pairs_each_of_the_two_asks_once(four: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    repeating(four, {})
    players: list[tuple[str, str]] = []
    real = RepeatingNode.probe

    def noted(node: RepeatingNode, *words: str, timeout: float | None = None) -> Any:
        if words[0] == "pingpong":
            players.append((words[words.index("--role") + 1], node.name))
        return real(node, *words, timeout=timeout)

    monkeypatch.setattr(RepeatingNode, "probe", noted)
    data = pingpong.run(four, nodes=(0, 3, 1), pairs="all", variants=["cas"], batches=30).dataset
    assert dict(data["latency"].sizes) == {"variant": 1, "initiator": 3, "responder": 3, "batch": 30}
    assert data["initiator"].values.tolist() == data["responder"].values.tolist()
    assert data["initiator"].values.tolist() == ["node01", "node04", "node02"]
    matches = [dict(players[at : at + 2]) for at in range(0, len(players), 2)]
    pairs = [(match["ping"], match["pong"]) for match in matches]
    assert sorted(pairs) == sorted(itertools.permutations(["node01", "node02", "node04"], 2))
    played = ~np.eye(3, dtype=bool)
    assert (np.isfinite(data["latency"].values).all(axis=-1)[0] == played).all()
    assert (np.isfinite(data["latency_summary"].sel(statistic="p50").values[0]) == played).all()
    assert ((data["operations"].values > 0)[0] == played).all()
    assert not data["preempted"].values[0][~played].any()


def test_without_nodes_all_pairs_are_those_of_the_lab(lab: Any) -> None:
    data = pingpong.run(lab, pairs="all", variants="two-lines", batches=30).dataset
    assert data["responder"].values.tolist() == ["node01", "node02"]


def test_it_begins_well_after_a_run_that_left_in_the_middle(lab: Any) -> None:
    lab.fam.write(lab.fam.control.barrier(0), (1).to_bytes(4, "little"))
    for variant in pingpong.VARIANTS:
        lab.fam.write(0, b"\xff" * 256)
        assert pingpong.run(lab, variants=variant, batches=30).dataset.sizes["batch"] == 30


def test_it_stays_in_its_256_bytes_and_its_barrier(lab: Any) -> None:
    lab.fam.write(256, b"\xaa" * 256)
    pingpong.run(lab, offset=512, variants="two-lines", batches=30)
    assert lab.fam.read(256, 256) == b"\xaa" * 256
    assert lab.fam.read(768, 256) == bytes(256)


@pytest.mark.parametrize(
    "parameters",
    [
        {"nodes": (0,)},
        {"nodes": "01"},
        {"nodes": (0, 1, 2)},
        {"nodes": (0,), "pairs": "all"},
    ],
)
def test_a_parameter_that_cannot_be_is_refused(lab: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        pingpong.run(lab, **parameters)


def test_one_node_alone_gives_no_number(tmp_path: Path) -> None:
    lab: Any = LocalLab.make(tmp_path, nodes=1)
    with pytest.raises(ProbeError, match="there is no node 1"):
        pingpong.run(lab)
    with pytest.raises(ProbeError, match="each node can be there once"):
        pingpong.run(lab, nodes=(0, "node01"))
    with pytest.raises(ProbeError, match="this takes 2 nodes or more"):
        pingpong.run(lab, pairs="all")


class AbsentNode(LocalNode):
    """A node that died before the match."""

    def probe(self, *_: str, **__: Any) -> list[dict[str, Any]]:
        return []


@pytest.mark.parametrize("variant", ["one-line", "cas"])
def test_a_node_that_never_comes_ends_the_match(lab: Any, variant: str) -> None:
    lab.nodes[1] = AbsentNode("node02", 1, lab.fam.path)
    with pytest.raises(ProbeError, match=r"node01 had done 0 batches .* 1 of 2 parties came to the barrier"):
        pingpong.run(lab, variants=variant, peer_timeout=1)


@pytest.mark.parametrize("dies", [0, 1])
@pytest.mark.parametrize("variant", ["one-line", "cas"])
@pytest.mark.parametrize("taking_turns", [False, True])
def test_a_node_that_dies_half_way_releases_the_other(
    lab: Any, dies: int, variant: str, taking_turns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(barrier, "oversubscribed", lambda _: taking_turns)
    name = f"node0{dies + 1}"
    lab.nodes[dies] = DyingNode(name, dies, lab.fam.path)
    with pytest.raises(ProbeError, match=rf"{name} had done \d+ batches .* the other one was released"):
        pingpong.run(lab, variants=variant, batches=1000, batch_ms=10, peer_timeout=1000)


class MeddlingNode(LocalNode):
    """A node on which something else writes to the lines that are measured."""

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        over = threading.Event()
        lines = np.memmap(self.fam, "u8", "r+", shape=32)

        def meddle() -> None:
            while not over.is_set():
                lines[:] = 12345678

        thread = threading.Thread(target=meddle)
        thread.start()
        try:
            return super().probe(*words, **options)
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("variant", pingpong.VARIANTS)
def test_someone_else_who_writes_to_the_lines_ends_the_match(lab: Any, variant: str) -> None:
    lab.nodes[1] = MeddlingNode("node02", 1, lab.fam.path)
    with pytest.raises(ProbeError, match="someone else wrote"):
        pingpong.run(lab, variants=variant, batches=30)


class TamperingNode(LocalNode):
    """A node that reports what it likes."""

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        [line] = super().probe(*words, **options)
        return [line | {"messages": line["messages"] - 1}]


def test_a_lost_message_gives_no_number(lab: Any) -> None:
    lab.nodes[1] = TamperingNode("node02", 1, lab.fam.path)
    with pytest.raises(ProbeError, match=r"sent .* messages and node02 answered"):
        pingpong.run(lab, variants="cas", batches=30)


def test_the_plot_says_what_it_shows_from_data_alone(measured: Result, tmp_path: Path) -> None:
    measured.save(tmp_path / "kept")
    figure = Result.load(tmp_path / "kept").plot()
    [axes] = figure.axes
    assert axes.get_xlabel() == "half a round trip [ns]"
    assert axes.get_xscale() == "log"
    assert figure.get_suptitle() == "Ping-pong between node01 and node02"
    assert "emulated (TCG on this host): not a fabric's latency" in figure.get_supxlabel()
    assert "n = 30 batches" in figure.get_supxlabel()
    assert [label.split(":")[0] for label in axes.get_legend_handles_labels()[1]] == list(pingpong.VARIANTS)


def test_all_pairs_are_drawn_as_a_heat_map_of_their_medians(lab: Any, tmp_path: Path) -> None:
    place = pingpong.run(lab, pairs="all", variants=["cas", "one-line"], batches=30).save(tmp_path / "kept")
    figure = Result.load(place).plot()
    *panels, bar = figure.axes
    assert [panel.get_title() for panel in panels] == ["cas", "one-line"]
    assert bar.get_ylabel().startswith("half a round trip [")
    assert figure.get_suptitle().startswith("Ping-pong between each two of 2 nodes")
    assert "n = 30 batches a match" in figure.get_supxlabel()
    assert "of 120 preempted" in figure.get_supxlabel()


def test_a_match_on_too_few_cores_is_flagged(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    result = pingpong.run(lab, variants="one-line", batches=30)
    assert bool(result.dataset["oversubscribed"])
    assert "oversubscribed" in result.plot().get_supxlabel()
