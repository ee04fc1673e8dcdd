from pathlib import Path
from typing import Any

import pytest

from fame_lab.errors import SpecError
from fame_lab.probes import bandwidth
from fame_lab.results.result import Result
from fame_lab.testing import LocalLab

SMALL: dict[str, Any] = {"working_sets": ["16K", "256K"], "batches": 30}
ALL = ["read", "write", "nt-write", "copy", "triad"]


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path)


def test_every_batch_is_kept_by_operation_memory_and_working_set(lab: Any) -> None:
    result = bandwidth.run(lab, **SMALL, width=8)
    data = result.dataset
    assert dict(data["bandwidth"].sizes) == {"operation": 5, "memory": 2, "working_set": 2, "batch": 30}
    assert data["operation"].values.tolist() == ALL
    assert data["bandwidth"].attrs["units"] == "GB/s"
    assert data["preempted"].dims == ("operation", "memory", "working_set", "batch")
    assert (data.attrs["width"], data.attrs["unroll"]) == (8, 1)
    assert "STREAM" in data.attrs["convention"]
    assert (data["bandwidth"] > 0).all()


def test_a_batch_holds_whole_passes(lab: Any) -> None:
    data = bandwidth.run(lab, **SMALL, operations="copy", memories="fam").dataset
    assert (data["operations"] % data["working_set"] == 0).all()


def test_a_triad_counts_three_arrays_of_whole_pairs_of_lines(lab: Any) -> None:
    data = bandwidth.run(lab, **SMALL, operations="triad", memories="fam").dataset
    thirds = data["working_set"] // 3 // 128 * 128
    assert (data["operations"] % (3 * thirds) == 0).all()


def test_moves_can_be_wider_and_more_a_turn(lab: Any) -> None:
    result = bandwidth.run(lab, working_sets=["4K"], batches=30, width=16, unroll=8)
    assert (result.dataset.attrs["width"], result.dataset.attrs["unroll"]) == (16, 8)
    assert result.manifest["parameters"]["unroll"] == 8


@pytest.mark.parametrize(
    "parameters",
    [
        {"working_sets": [256, 512]},
    ],
)
def test_a_parameter_that_cannot_be_is_refused(lab: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        bandwidth.run(lab, **parameters)


def test_the_plot_says_what_it_shows_from_data_alone(lab: Any, tmp_path: Path) -> None:
    bandwidth.run(lab, **SMALL).save(tmp_path / "kept")
    figure = Result.load(tmp_path / "kept").plot()
    panels = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in panels] == ALL
    assert figure.axes[0].get_ylabel() == "bandwidth [GB/s]"
    assert {axes.get_xlabel() for axes in panels} == {"working set"}
    label = figure.get_supxlabel()
    assert "emulated (TCG on this host): not a fabric's latency" in label
    assert "n = 30 batches" in label
    assert "a copy counts those read and written, a triad its three arrays" in label


def test_one_operation_has_the_figure_to_itself(lab: Any) -> None:
    figure = bandwidth.run(lab, **SMALL, operations="read", memories="dram").plot()
    assert len(figure.axes) == 1
