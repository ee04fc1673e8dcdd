from pathlib import Path
from typing import Any

import pytest
from local_lab import LocalLab

from fame_lab.errors import SpecError
from fame_lab.probes import bandwidth
from fame_lab.results import Result

SMALL: dict[str, Any] = {"working_sets": ["16K", "256K"], "batches": 30}


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path)


def test_every_batch_is_kept_by_operation_memory_and_working_set(lab: Any) -> None:
    result = bandwidth.run(lab, **SMALL, width=8)
    data = result.dataset
    assert dict(data["bandwidth"].sizes) == {"operation": 3, "memory": 2, "working_set": 2, "batch": 30}
    assert data["operation"].values.tolist() == ["read", "write", "copy"]
    assert data["bandwidth"].attrs["units"] == "GB/s"
    assert data["preempted"].dims == ("operation", "memory", "working_set", "batch")
    assert data.attrs["width"] == 8
    assert "STREAM" in data.attrs["convention"]
    assert (data["bandwidth"] > 0).all()


def test_a_batch_holds_whole_passes(lab: Any) -> None:
    data = bandwidth.run(lab, **SMALL, operations="copy", memories="fam").dataset
    assert (data["operations"] % data["working_set"] == 0).all()


@pytest.mark.parametrize(
    "parameters",
    [
        {"operations": ["triad"]},
        {"operations": []},
        {"operations": ["read", "read"]},
        {"width": 32},
        {"width": True},
        {"working_sets": [64]},
        {"memories": "disk"},
    ],
)
def test_a_parameter_that_cannot_be_is_refused(lab: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        bandwidth.run(lab, **parameters)


def test_the_plot_says_what_it_shows_from_data_alone(lab: Any, tmp_path: Path) -> None:
    bandwidth.run(lab, **SMALL).save(tmp_path / "kept")
    drawn = Result.load(tmp_path / "kept").plot()
    assert [axes.get_title() for axes in drawn.axes] == ["read", "write", "copy"]
    assert drawn.axes[0].get_ylabel() == "bandwidth [GB/s]"
    assert {axes.get_xlabel() for axes in drawn.axes} == {"working set"}
    label = drawn.get_supxlabel()
    assert "emulated (TCG on this host): not a fabric's latency" in label
    assert "n = 30 batches" in label
    assert "bytes read and bytes written" in label
