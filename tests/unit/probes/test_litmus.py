from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dying_node import DyingNode

from fame_lab.errors import ProbeError, SpecError
from fame_lab.probes import litmus
from fame_lab.probes.common.litmus_tests import FORBIDDEN, RELAXED, SEQUENTIAL, TESTS
from fame_lab.results.result import Result
from fame_lab.testing import LocalLab, LocalNode

FEW = 3000  # no multiple of the cells that one walk has


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path)


def counts(result: Result, test: str) -> dict[str, int]:
    data = result.dataset
    rows = data.isel(outcome=np.flatnonzero(data["of"] == test))
    return dict(zip(rows["registers"].values.tolist(), rows["count"].values.tolist(), strict=True))


def test_every_iteration_of_every_test_has_one_outcome(lab: Any) -> None:
    result = litmus.run(lab, iterations=FEW)
    for test in result.dataset["test"].values:
        assert sum(counts(result, test).values()) == FEW
    assert result.dataset["iterations"].values.tolist() == [FEW] * 7
    assert result.failed == ""


def test_tests_for_which_there_are_too_few_nodes_are_left_out_and_said_so(lab: Any) -> None:
    result = litmus.run(lab, iterations=1000)
    assert result.dataset["test"].values.tolist() == [name for name in TESTS if name != "IRIW"]
    assert result.dataset.attrs["left_out"] == "IRIW takes 4 nodes, and there are 2"
    assert "left out: IRIW takes 4 nodes" in result.plot().get_supxlabel()


def test_a_test_asked_for_by_name_with_too_few_nodes_gives_no_number(lab: Any) -> None:
    with pytest.raises(ProbeError, match="IRIW takes 4 nodes, and there are only 2"):
        litmus.run(lab, tests="IRIW")
    with pytest.raises(ProbeError, match="this takes 2 nodes"):
        litmus.run(lab, nodes=[0])


def test_four_nodes_play_iriw(tmp_path: Path) -> None:
    lab: Any = LocalLab.make(tmp_path, nodes=4)
    result = litmus.run(lab, tests=["IRIW"], iterations=FEW)
    assert sum(counts(result, "IRIW").values()) == FEW
    assert len(counts(result, "IRIW")) == 16
    assert result.dataset.attrs["left_out"] == ""


@pytest.mark.parametrize(
    ("test", "never"),
    [("SB+mfences", "r1=0 r2=0"), ("MP", "r1=1 r2=0"), ("LB", "r1=1 r2=1"), ("torn-8", "torn")],
)
def test_what_this_cpu_forbids_is_not_observed(lab: Any, test: str, never: str) -> None:
    assert counts(litmus.run(lab, tests=test, iterations=20_000), test)[never] == 0


def test_the_tests_say_what_x86_tso_says() -> None:
    verdicts = {
        (name, outcome): test.verdict_on(outcome) for name, test in TESTS.items() for outcome in test.outcomes
    }
    relaxed = [key for key, verdict in verdicts.items() if verdict == RELAXED]
    forbidden = [key for key, verdict in verdicts.items() if verdict == FORBIDDEN]
    assert relaxed == [("SB", "r1=0 r2=0"), ("torn-16", "torn"), ("torn-8-split", "torn")]
    assert forbidden == [
        ("SB+mfences", "r1=0 r2=0"),
        ("MP", "r1=1 r2=0"),
        ("LB", "r1=1 r2=1"),
        ("IRIW", "r1=1 r2=0 r3=1 r4=0"),
        ("torn-8", "torn"),
    ]
    assert set(verdicts.values()) == {SEQUENTIAL, RELAXED, FORBIDDEN}


class TellingNode(LocalNode):
    """A node that says which outcomes there were."""

    outcome_counts = (0, 1000, 0, 0)

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        [line] = super().probe(*words, **options)
        return [line | {"counts": list(self.outcome_counts)}]


def telling(lab: Any, *outcome_counts: int) -> Any:
    class Telling(TellingNode):
        pass

    Telling.outcome_counts = outcome_counts  # type: ignore[assignment]
    lab.nodes[:] = [Telling(node.name, node.index, lab.fam.path) for node in lab.nodes]
    return lab


def test_a_forbidden_outcome_makes_a_failed_result(lab: Any) -> None:
    result = litmus.run(telling(lab, 100, 400, 490, 10), tests="LB", iterations=1000)
    assert result.failed == "x86 forbids what was seen: LB: r1=1 r2=1 observed 10 in 1,000"
    assert "FAILED" in result.plot().get_suptitle()


def test_an_allowed_outcome_is_only_counted(lab: Any) -> None:
    result = litmus.run(telling(lab, 10, 490, 500, 0), tests="SB", iterations=1000)
    assert result.failed == ""
    row = result.dataset.sel(outcome="SB: r1=0 r2=0")
    assert (row["count"].item(), row["verdict"].item()) == (10, RELAXED)
    assert row["finding"].item() == "observed 10 in 1,000"
    assert 0 < row["share_low"] < row["share"] < row["share_high"]


def test_what_was_not_observed_is_bounded_and_not_called_impossible(lab: Any) -> None:
    row = litmus.run(telling(lab, 0, 500, 500, 0), tests="SB", iterations=1000).dataset.isel(outcome=0)
    assert row["finding"].item() == "not observed in 1,000"
    assert (row["share_low"].item(), row["share_high"].item()) == (0, 0.003)


@pytest.mark.parametrize(
    "outcome_counts", [(0, 999, 0, 0), (0, 1001, 0, 0), (0, -1, 1001, 0), (1000,), (1000, 0, 0, 0, 0)]
)
def test_counts_that_do_not_add_up_give_no_number(lab: Any, outcome_counts: tuple[int, ...]) -> None:
    with pytest.raises(ProbeError, match="node01"):
        litmus.run(telling(lab, *outcome_counts), tests="SB", iterations=1000)


def test_nodes_that_count_differently_give_no_number(lab: Any) -> None:
    lab.nodes[1] = TellingNode("node02", 1, lab.fam.path)
    with pytest.raises(ProbeError, match="SB: the nodes counted different outcomes"):
        litmus.run(lab, tests="SB", iterations=1000)


def test_a_node_that_dies_half_way_releases_the_others(lab: Any) -> None:
    lab.nodes[1] = DyingNode("node02", 1, lab.fam.path)
    with pytest.raises(
        ProbeError, match=r"node02 had done \d+ iterations of SB when it failed: .* other one was released"
    ):
        litmus.run(lab, tests="SB", iterations=10**9, peer_timeout=1000)


@pytest.mark.parametrize(
    "parameters",
    [
        {"offset": 4 << 20},
    ],
)
def test_a_parameter_that_cannot_be_is_refused(lab: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        litmus.run(lab, **parameters)


def test_it_keeps_to_its_range(lab: Any) -> None:
    size = 1024 * 260
    lab.fam.write(0, b"\xaa" * 1024)
    lab.fam.write(1024 + size, b"\xaa" * 1024)
    litmus.run(lab, offset=1024, iterations=2000)
    assert lab.fam.read(0, 1024) == b"\xaa" * 1024
    assert lab.fam.read(1024 + size, 1024) == b"\xaa" * 1024


def test_the_plot_says_what_it_shows_from_data_alone(lab: Any, tmp_path: Path) -> None:
    litmus.run(lab, iterations=1000).save(tmp_path / "kept")
    figure = Result.load(tmp_path / "kept").plot()
    [axes] = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "share of the iterations"
    assert axes.get_yticklabels()[0].get_text() == "SB\nx=1; r1=y ‖ y=1; r2=x"
    assert "emulated (TCG on this host): not a fabric's latency" in figure.get_supxlabel()
    assert "n = 1,000 iterations a test" in figure.get_supxlabel()


def test_more_nodes_than_cores_are_flagged(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    result = litmus.run(lab, tests=["MP"], iterations=1000)
    assert result.dataset["oversubscribed"].values.tolist() == [True]
    assert "MP oversubscribed" in result.plot().get_supxlabel()
