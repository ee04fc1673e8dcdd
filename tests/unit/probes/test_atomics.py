from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fame_lab.errors import ProbeError, SpecError
from fame_lab.probes import atomics
from fame_lab.results.result import Result
from fame_lab.testing import LocalLab, LocalNode

SMALL: dict[str, Any] = {"batches": 30, "batch_ms": 1}


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path)


def test_every_batch_of_every_node_is_kept_and_nothing_is_lost(lab: Any) -> None:
    result = atomics.run(lab, **SMALL)
    data = result.dataset
    assert dict(data["rate"].sizes) == {"operation": 2, "contenders": 2, "node": 2, "batch": 30}
    assert data["operation"].values.tolist() == ["fetch-add", "cas"]
    assert data["contenders"].values.tolist() == [1, 2]
    assert data["rate"].attrs["units"] == data["total_rate"].attrs["units"] == "1/s"
    assert (data["rate"].sel(contenders=2) > 0).all()
    np.testing.assert_array_equal(data["expected"], data["held"])
    np.testing.assert_array_equal(data["lost"], 0)
    assert result.failed == ""
    assert data["oversubscribed"].dtype == bool


def test_fetch_add_always_succeeds_and_a_lone_compare_and_swap_does(lab: Any) -> None:
    shares = atomics.run(lab, **SMALL).dataset["success_share"]
    np.testing.assert_array_equal(shares.sel(operation="fetch-add", contenders=2), 1)
    assert float(shares.sel(operation="cas", contenders=1, node="node01")) == 1
    assert (shares.sel(operation="cas", contenders=2) <= 1).all()


def test_shares_of_the_common_window_lie_between_one_nth_and_one(lab: Any) -> None:
    fairness = atomics.run(lab, operations="fetch-add", **SMALL).dataset["fairness"].squeeze("operation")
    assert float(fairness.sel(contenders=1)) == 1
    assert 0.5 <= float(fairness.sel(contenders=2)) <= 1


def test_powers_of_two_and_all_nodes_contend_by_default(tmp_path: Path) -> None:
    lab: Any = LocalLab.make(tmp_path, nodes=3)
    data = atomics.run(lab, operations="fetch-add", **SMALL).dataset
    assert data["contenders"].values.tolist() == [1, 2, 3]
    assert data["node"].values.tolist() == ["node01", "node02", "node03"]
    assert np.isnan(data["rate"].sel(contenders=2, node="node03")).all()
    assert int(data["lost"].sum()) == 0


def test_it_touches_its_eight_bytes_alone(lab: Any) -> None:
    lab.fam.write(0, b"\xaa" * 256)
    atomics.run(lab, offset=72, operations="cas", contenders=2, **SMALL)
    assert lab.fam.read(0, 72) == b"\xaa" * 72
    assert lab.fam.read(80, 176) == b"\xaa" * 176


class LyingNode(LocalNode):
    """A node that says that it added more than it did, or less."""

    more = 7

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        [line] = super().probe(*words, **options)
        moved = {name: line[name] + self.more for name in ("all_attempts", "all_successes")}
        return [line | moved]


def test_an_update_that_is_missing_makes_a_failed_result(lab: Any) -> None:
    lab.nodes[1] = LyingNode("node02", 1, lab.fam.path)
    result = atomics.run(lab, operations="fetch-add", **SMALL)
    assert result.dataset["lost"].values.tolist() == [[0, 7]]
    expected = int(result.dataset["expected"].sel(contenders=2).item())
    assert result.failed == f"fetch-add by 2 nodes: 7 of {expected:,} updates were lost"
    assert "FAILED: fetch-add by 2 nodes: 7 of" in result.plot().get_suptitle()


def test_an_update_too_many_makes_a_failed_result(lab: Any) -> None:
    class ModestNode(LyingNode):
        more = -1

    lab.nodes[0] = ModestNode("node01", 0, lab.fam.path)
    result = atomics.run(lab, operations="cas", contenders=[1], **SMALL)
    assert "cas by 1 node: the word holds 1 more than the" in result.failed


@pytest.mark.parametrize(
    "parameters",
    [
        {"offset": (4 << 20) - (64 << 10)},
    ],
)
def test_a_parameter_that_cannot_be_is_refused(lab: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        atomics.run(lab, **parameters)


def test_more_contenders_than_nodes_give_no_number(lab: Any) -> None:
    with pytest.raises(ProbeError, match="only 2 nodes"):
        atomics.run(lab, contenders=[1, 3])
    with pytest.raises(ProbeError, match="there is no node 2"):
        atomics.run(lab, nodes=[0, 2])


def test_the_plot_says_what_it_shows_from_data_alone(lab: Any, tmp_path: Path) -> None:
    atomics.run(lab, **SMALL).save(tmp_path / "kept")
    figure = Result.load(tmp_path / "kept").plot()
    rates, shares = figure.axes
    assert rates.get_xlabel() == "nodes that contend"
    assert rates.get_ylabel() == "increments [million/s]"
    assert shares.get_ylabel() == "share"
    assert figure.get_suptitle() == "Nodes that increment one word at once"
    assert "emulated (TCG on this host): not a fabric's latency" in figure.get_supxlabel()
    assert "lost: 0 of" in figure.get_supxlabel()


def test_more_nodes_than_cores_are_flagged(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    result = atomics.run(lab, operations="fetch-add", **SMALL)
    assert result.dataset["oversubscribed"].values.tolist() == [False, True]
    assert "at 2 nodes and more, oversubscribed" in result.plot().get_supxlabel()
