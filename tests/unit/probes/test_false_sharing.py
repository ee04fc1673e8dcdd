from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dying_node import DyingNode

from fame_lab.errors import ProbeError, SpecError
from fame_lab.probes import false_sharing
from fame_lab.results import plots
from fame_lab.results.result import Result
from fame_lab.testing import LocalLab, LocalNode

SMALL: dict[str, Any] = {"batches": 30, "batch_ms": 1}


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path)


def test_every_batch_of_every_node_is_kept_and_each_counter_is_its_nodes_own(lab: Any) -> None:
    result = false_sharing.run(lab, **SMALL)
    data = result.dataset
    assert dict(data["rate"].sizes) == {"distance": 3, "node": 2, "batch": 30}
    assert data["distance"].values.tolist() == [8, 64, 128]
    assert (data["distance"].attrs["units"], data["rate"].attrs["units"]) == ("B", "1/s")
    assert (data["rate"] > 0).all()
    np.testing.assert_array_equal(data["expected"], data["held"])
    assert result.failed == ""
    assert data["oversubscribed"].dtype == bool


def test_rates_are_compared_with_the_largest_distance(lab: Any) -> None:
    data = false_sharing.run(lab, distances=[256, 8], **SMALL).dataset
    assert data["distance"].values.tolist() == [8, 256]
    np.testing.assert_array_equal(data["ratio"].sel(distance=256), 1)
    assert "units" not in data["ratio"].attrs  # whatever xarray has a quotient inherit
    medians = data["rate_summary"].sel(statistic="p50")
    np.testing.assert_allclose(
        data["ratio"].sel(distance=8), medians.sel(distance=8) / medians.sel(distance=256)
    )


def test_counters_lie_so_far_apart(lab: Any) -> None:
    for distance in (8, 64, 128):
        lab.fam.write(0, b"\xaa" * 1024)
        data = false_sharing.run(lab, distances=[distance], offset=256, **SMALL).dataset
        words = lab.fam.array("u8", count=128)
        counters = [32, 32 + distance // 8]
        np.testing.assert_array_equal(words[counters], data["held"].values[0])
        np.testing.assert_array_equal(words[:32], words[0])
        np.testing.assert_array_equal(words[33 + distance // 8 :], words[0])


class LyingNode(LocalNode):
    """A node that counted three additions that it did not make."""

    def probe(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        [line] = super().probe(*words, **options)
        return [line | {"all_additions": line["all_additions"] + 3}]


def test_a_counter_that_holds_something_else_makes_a_failed_result(lab: Any) -> None:
    lab.nodes[1] = LyingNode("node02", 1, lab.fam.path)
    result = false_sharing.run(lab, distances=[64], **SMALL)
    counted = int(result.dataset["expected"].sel(node="node02").item())
    assert result.failed == (
        f"64 bytes apart, node02's counter holds {counted - 3:,} of {counted:,} additions"
    )
    assert "FAILED" in result.plot().get_suptitle()


@pytest.mark.parametrize(
    "parameters",
    [
        {"offset": 4 << 20},
    ],
)
def test_a_parameter_that_cannot_be_is_refused(lab: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        false_sharing.run(lab, **parameters)


def test_one_node_alone_gives_no_number(lab: Any) -> None:
    with pytest.raises(ProbeError, match="this takes 2 nodes"):
        false_sharing.run(lab, nodes=[1])


def test_a_node_that_dies_half_way_gives_no_number(lab: Any) -> None:
    lab.nodes[0] = DyingNode("node01", 0, lab.fam.path)
    with pytest.raises(ProbeError, match=r"node01 had done \d+ batches when it failed: .* one was released"):
        false_sharing.run(lab, batches=1000, batch_ms=50, peer_timeout=1000)


def test_the_plot_says_what_it_shows_from_data_alone(lab: Any, tmp_path: Path) -> None:
    false_sharing.run(lab, **SMALL).save(tmp_path / "kept")
    figure = Result.load(tmp_path / "kept").plot()
    rates, ratios = figure.axes
    assert rates.get_ylabel() == "additions [million/s]"
    assert rates.get_yscale() == "log"
    assert [label.get_text() for label in ratios.get_xticklabels()] == ["8", "64", "128"]
    assert "a plain load and a plain store" in figure.get_supxlabel()
    assert "emulated (TCG on this host): not a fabric's latency" in figure.get_supxlabel()
    assert rates.get_legend_handles_labels()[1] == ["node01", "node02"]


def test_more_nodes_than_cores_are_flagged(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    result = false_sharing.run(lab, distances=[8], **SMALL)
    assert bool(result.dataset["oversubscribed"])
    assert "oversubscribed" in result.plot().get_supxlabel()


def test_more_nodes_than_there_are_looks_are_told_by_their_place(tmp_path: Path) -> None:
    lab: Any = LocalLab.make(tmp_path, nodes=8)
    figure = false_sharing.run(lab, distances=[64], **SMALL).plot()
    assert "from left to right: node01 to node08" in figure.get_supxlabel()
    rates, _ = figure.axes
    assert rates.get_legend() is None
    assert {line.get_color() for line in rates.lines} == {plots.style(0)["color"]}
