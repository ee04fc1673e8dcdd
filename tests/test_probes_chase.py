from pathlib import Path
from typing import Any

import numpy as np
import pytest
from local_lab import LocalLab, LocalNode

from fame_lab.errors import CommandError, ProbeError, SpecError
from fame_lab.probes import chase
from fame_lab.results import Result

SMALL: dict[str, Any] = {"working_sets": ["4K", "64K"], "batches": 30}


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return LocalLab.make(tmp_path)


def test_every_batch_of_both_memories_is_kept_with_units(lab: Any) -> None:
    result = chase.run(lab, **SMALL, seed=7)
    data = result.dataset
    assert dict(data["latency"].sizes) == {"memory": 2, "working_set": 2, "batch": 30}
    assert data["memory"].values.tolist() == ["dram", "fam"]
    assert data["working_set"].values.tolist() == [4096, 65536]
    assert data["latency"].attrs["units"] == "ns"
    assert data["working_set"].attrs["units"] == "B"
    assert data["preempted"].dtype == bool
    assert (data["latency"] > 0).all()
    assert result.manifest["seed"] == 7
    assert result.manifest["parameters"]["working_sets"] == [4096, 65536]
    assert result.manifest["mapping"] == data.attrs["mapping"] == "unknown"


def test_the_default_working_sets_are_those_that_fit(tmp_path: Path) -> None:
    lab: Any = LocalLab.make(tmp_path, size=1 << 20)
    result = chase.run(lab, memories="dram", batches=30)
    assert result.dataset["working_set"].values.tolist() == [4 << 10, 16 << 10, 64 << 10, 256 << 10]


def test_the_control_area_is_not_the_users(lab: Any) -> None:
    with pytest.raises(SpecError, match="do not fit in FAM"):
        chase.run(lab, working_sets=["4M"])
    with pytest.raises(SpecError, match="do not fit in FAM"):
        chase.run(lab, offset=lab.fam.control.offset)


def test_the_node_is_chosen_by_number_or_name(lab: Any) -> None:
    for node in (1, "node02"):
        assert chase.run(lab, node=node, memories="dram", **SMALL).dataset.attrs["node"] == "node02"


@pytest.mark.parametrize("node", [2, -1, "node03", True])
def test_a_node_that_is_not_there_is_refused(lab: Any, node: Any) -> None:
    with pytest.raises(ProbeError, match="there are node01, node02"):
        chase.run(lab, node=node)


@pytest.mark.parametrize(
    "parameters",
    [
        {"working_sets": []},
        {"working_sets": [0]},
        {"working_sets": [100]},
        {"working_sets": [-64]},
        {"working_sets": ["4K", 4096]},
        {"working_sets": ["many"]},
        {"memories": ["hbm"]},
        {"memories": []},
        {"memories": ["fam", "fam"]},
        {"offset": 8},
        {"offset": -64},
        {"seed": -1},
        {"seed": True},
        {"batches": 3},
        {"batch_ms": 0},
    ],
)
def test_a_parameter_that_cannot_be_is_refused(lab: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        chase.run(lab, **parameters)


def test_memory_that_the_node_has_not_is_an_error_and_no_number(lab: Any) -> None:
    with pytest.raises(CommandError, match="are not to be had"):
        lab.nodes[0].probe("chase", "--fam", "/dev/fam", "--memory", "dram", "--sizes", str(1 << 60))


class LyingNode(LocalNode):
    """A guest whose probe answers for another working set."""

    def probe(self, *arguments: str, timeout: float | None = None) -> list[dict[str, Any]]:
        found = super().probe(*arguments, timeout=timeout)
        return [line | {"size": 64} for line in found]


class SilentNode(LocalNode):
    """A guest whose probe says nothing."""

    def probe(self, *_: str, **__: Any) -> list[dict[str, Any]]:
        return []


@pytest.mark.parametrize("liar", [LyingNode, SilentNode])
def test_an_answer_to_another_question_is_refused(lab: Any, liar: type[LocalNode]) -> None:
    lab.nodes[0] = liar("node01", 0, lab.fam.path)
    with pytest.raises(ProbeError, match="node01: the probe"):
        chase.run(lab, memories="fam", **SMALL)


def test_the_plot_says_what_it_shows_from_data_alone(lab: Any, tmp_path: Path) -> None:
    chase.run(lab, **SMALL).save(tmp_path / "kept")
    loaded = Result.load(tmp_path / "kept")
    drawn = loaded.plot()
    [axes] = drawn.axes
    assert axes.get_xlabel() == "working set"
    assert axes.get_ylabel() == "latency of a load [ns]"
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_legend_handles_labels()[1] == ["DRAM", "FAM"]
    assert "emulated (TCG on this host): not a fabric's latency" in drawn.get_supxlabel()
    assert "n = 30 batches" in drawn.get_supxlabel()
    np.testing.assert_array_equal(
        axes.lines[0].get_ydata(),
        loaded.dataset["latency_summary"].sel(memory="dram", statistic="p50"),
    )
