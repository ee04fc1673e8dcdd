import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dying_node import DyingNode

from fame_lab.core import native
from fame_lab.errors import ProbeError
from fame_lab.probes.common.contest import ContestSettings, contest, dataset, jain_index
from fame_lab.testing import LocalLab, LocalNode

COUNTS = ["attempts", "successes"]
RULES = ContestSettings(batches=30, batch_ms=1, peer_timeout=10)
WORDS = ["atomics", "--op", "cas", "--offset", "0", "--fam", "/dev/fam"]


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path)


def test_each_batch_lasts_its_time_and_lies_in_the_window(lab: Any) -> None:
    for contender in contest(lab, lab.nodes, WORDS, COUNTS, RULES):
        assert (contender.nanoseconds >= 1_000_000).all()
        assert contender.nanoseconds.sum() <= contender.window_ns
        for name in COUNTS:
            batches = contender.counts[name].sum()
            assert 0 < batches <= contender.in_window[name] <= contender.in_all[name]
        contender.check_part("successes", "attempts")


def test_a_node_goes_on_until_the_last_ones_time_is_up(lab: Any) -> None:
    lab.nodes[0] = BriskNode("node01", 0, lab.fam.path)
    brisk, _ = contest(
        lab, lab.nodes, WORDS, COUNTS, ContestSettings(batches=30, batch_ms=2, peer_timeout=10)
    )
    assert brisk.in_window["attempts"] > brisk.counts["attempts"].sum()


class BriskNode(LocalNode):
    """A node whose batches are half as long as asked for."""

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        arguments = list(words)
        arguments[arguments.index("--batch-us") + 1] = "1000"
        [line] = super().probe(*arguments, **options)
        return [line | {"batch_ns": [2 * ns for ns in line["batch_ns"]], "window_ns": 2 * line["window_ns"]}]


def test_one_node_contends_with_nobody(lab: Any) -> None:
    [alone] = contest(lab, lab.nodes[:1], WORDS, COUNTS, RULES)
    assert alone.in_all["successes"] == int.from_bytes(lab.fam.read(0, 8), "little")


def test_nodes_that_did_not_take_part_are_nan(lab: Any) -> None:
    runs = [contest(lab, lab.nodes[:count], WORDS, COUNTS, RULES) for count in (1, 2)]
    result = dataset(runs, {"contenders": [1, 2]}, lab.nodes, dict.fromkeys(COUNTS, "what was done"))
    assert dict(result["elapsed"].sizes) == {"contenders": 2, "node": 2, "batch": 30}
    assert np.isnan(result["elapsed"].sel(contenders=1, node="node02")).all()
    assert not result["preempted"].sel(contenders=1, node="node02").any()
    assert result["elapsed"].attrs["units"] == "ns"
    assert result["window_successes"].dims == ("contenders", "node")


@pytest.mark.parametrize(
    "tale",
    [
        {"batch_ns": [1] * 30},
        {"window_ns": 1},
        {"successes": [1 << 45] * 30},
        {"all_successes": 0},
        {"window_attempts": 1},
        {"all_attempts": -1},
        {"preempted": [2] * 30},
        {"timer_share": 0.02},
        {"probe": "add"},
        {"attempts": "many"},
    ],
)
def test_figures_that_cannot_be_are_refused(lab: Any, tale: dict[str, Any]) -> None:
    class LyingNode(LocalNode):
        def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
            [line] = super().probe(*words, **options)
            return [line | tale]

    lab.nodes[1] = LyingNode("node02", 1, lab.fam.path)
    with pytest.raises(ProbeError, match="node02"):
        contest(lab, lab.nodes, WORDS, COUNTS, RULES)


def test_a_node_that_dies_half_way_releases_the_others(lab: Any) -> None:
    lab.nodes[1] = DyingNode("node02", 1, lab.fam.path)
    long = ContestSettings(batches=1000, batch_ms=100, peer_timeout=1000)
    with pytest.raises(ProbeError, match=r"node02 had done \d+ batches .* the other one was released"):
        contest(lab, lab.nodes, WORDS, COUNTS, long)


class AbsentNode(LocalNode):
    """A node that died before the contest."""

    def probe(self, *_: str, **__: Any) -> list[dict[str, Any]]:
        return []


def test_a_node_that_never_comes_ends_the_contest(lab: Any) -> None:
    lab.nodes[1] = AbsentNode("node02", 1, lab.fam.path)
    with pytest.raises(ProbeError, match=r"node01 had done 0 batches .* 1 of 2 parties came"):
        contest(lab, lab.nodes, WORDS, COUNTS, ContestSettings(batches=30, batch_ms=1, peer_timeout=1))


def test_fairness_is_one_for_equals_and_a_share_for_one_who_has_all() -> None:
    assert jain_index([3, 3, 3]) == pytest.approx(1)
    assert jain_index([7, 0, 0, 0]) == pytest.approx(1 / 4)
    assert jain_index([1, 2]) == pytest.approx(9 / 10)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--parties", "2", "--barrier", "0", "--rank", "2"], "--rank is from 0 to 1"),
        (["--parties", "2", "--barrier", "0", "--rank", "0", "--steps", "64"], "not a multiple of 128"),
        (["--rank", "0"], "--parties is missing"),
        (["--parties", "1", "--barrier", "0"], "--rank is missing"),
    ],
)
def test_the_program_refuses_a_place_that_cannot_be(lab: Any, words: list[str], complaint: str) -> None:
    steps = [] if "--steps" in words else ["--steps", "1024"]
    done = subprocess.run(
        [str(native.PROBE.binary()), *WORDS[:-1], str(lab.fam.path), *steps, *words],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
