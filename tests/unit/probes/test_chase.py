from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fame_lab.errors import CommandError, ProbeError, SpecError
from fame_lab.probes import chase
from fame_lab.results.result import Result
from fame_lab.testing import LocalLab, LocalNode

SMALL: dict[str, Any] = {"working_sets": ["4K", "64K"], "orders": "random", "batches": 30}


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


def test_orders_and_strides_in_a_sequence_are_dimensions(lab: Any) -> None:
    parameters: dict[str, Any] = {"orders": ["page-grouped", "random"], "strides": [64, "4K"]}
    result = chase.run(lab, **SMALL | parameters, memories="fam")
    data = result.dataset
    assert data["latency"].dims == ("order", "stride", "memory", "working_set", "batch")
    assert data["order"].values.tolist() == ["page-grouped", "random"]
    assert data["stride"].values.tolist() == [64, 4096]
    assert data["latency_summary"].dims[:3] == ("statistic", "order", "stride")
    assert result.manifest["parameters"]["strides"] == [64, 4096]
    assert (data["latency"] > 0).all()


def test_the_default_is_random_beside_page_grouped(tmp_path: Path) -> None:
    lab: Any = LocalLab.make(tmp_path, size=1 << 20)
    data = chase.run(lab, memories="fam", batches=30).dataset
    assert data["order"].values.tolist() == ["random", "page-grouped"]
    assert data["stride"].item() == 64
    assert data["working_set"].values.tolist() == [size << 10 for size in (4, 16, 64, 256, 512)]
    assert "FAM ends at 512 KiB" in data.attrs["cut_short"]


class SmallNode(LocalNode):
    """A guest whose memory has room for 16 KiB, beside what may get lost in between."""

    def probe(self, *words: str, timeout: float | None = None) -> list[dict[str, Any]]:
        if words[0] == "memory":
            return [{"probe": "memory", "spare": (1 << 20) + (16 << 10)}]
        return super().probe(*words, timeout=timeout)


def test_fam_is_measured_where_the_nodes_memory_ends(lab: Any) -> None:
    lab.nodes[0] = SmallNode("node01", 0, lab.fam.path)
    result = chase.run(lab, **SMALL)
    latency = result.dataset["latency"]
    assert np.isfinite(latency.sel(memory="fam")).all()
    assert np.isfinite(latency.sel(memory="dram", working_set=4096)).all()
    assert np.isnan(latency.sel(memory="dram", working_set=65536)).all()
    assert np.isnan(result.dataset["latency_summary"].sel(memory="dram", working_set=65536)).all()
    assert int(result.dataset["operations"].sel(memory="dram", working_set=65536)) == 0
    assert result.dataset.attrs["cut_short"] == "DRAM ends at 4 KiB: node01's memory has room for 16 KiB"
    assert "DRAM ends at 4 KiB" in result.plot().get_supxlabel()
    assert "of 90 preempted" in result.plot().get_supxlabel()


def cycle(lab: Any, at: int, size: int, stride: int) -> list[int]:
    """The order in which the lines that chase left in FAM lead to one another, as their numbers."""
    lines = lab.fam.array("u8", at, size // 8).reshape(-1, stride // 8)
    # One word of each line leads on. FAM held nothing before.
    used = lines[:, :8] > 0
    assert (used.sum(axis=1) == 1).all()
    assert not lines[:, 8:].any()
    links = lines[:, :8][used]
    # Where the program had mapped FAM is not known, but nothing leads further down than to its first line.
    base = links.min() - 8 * used[0].argmax()
    successors = ((links - base) // stride).astype(int)
    assert ((links - base) % stride // 8 == used[successors].argmax(axis=1)).all()
    order = [0]
    while (after := int(successors[order[-1]])) != 0 and len(order) <= len(lines):
        order.append(after)
    return order


@pytest.mark.parametrize("at", [0, 192, 4096 - 64])
@pytest.mark.parametrize("stride", [64, 512, 4096])
@pytest.mark.parametrize("order", chase.ORDERS)
def test_it_is_one_cycle_through_a_line_every_stride_bytes(
    lab: Any, order: str, stride: int, at: int
) -> None:
    chase.run(lab, working_sets=["64K"], memories="fam", orders=order, strides=stride, offset=at, batches=30)
    assert sorted(cycle(lab, at, 65536, stride)) == list(range(65536 // stride))


@pytest.mark.parametrize("at", [0, 192])
@pytest.mark.parametrize("stride", [64, 512])
def test_a_page_grouped_cycle_leaves_each_page_once_and_at_random(lab: Any, stride: int, at: int) -> None:
    chase.run(
        lab,
        working_sets=["64K"],
        memories="fam",
        orders="page-grouped",
        strides=stride,
        offset=at,
        batches=30,
    )
    order = np.array(cycle(lab, at, 65536, stride))
    pages = (at % 4096 + order * stride) // 4096
    # The cycle is entered at its first line, which is in the middle of its page's turn.
    changes = int((pages != np.roll(pages, 1)).sum())
    assert changes == len(set(pages.tolist()))
    assert (np.diff(order) != 1).mean() > 0.5
    assert (np.diff(pages[pages != np.roll(pages, 1)]) != 1).any()


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
        {"strides": [64, 4096], "working_sets": [2048]},
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
        lines = super().probe(*arguments, timeout=timeout)
        return [line | {"size": 64} for line in lines]


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
    chase.run(lab, **SMALL | {"orders": chase.ORDERS}).save(tmp_path / "kept")
    loaded = Result.load(tmp_path / "kept")
    figure = loaded.plot()
    assert [axes.get_title() for axes in figure.axes] == ["random", "page-grouped"]
    axes = figure.axes[0]
    assert axes.get_xlabel() == "working set"
    assert axes.get_ylabel() == "latency of a load [ns]"
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_legend_handles_labels()[1] == ["DRAM", "FAM"]
    assert "emulated (TCG on this host): not a fabric's latency" in figure.get_supxlabel()
    assert "n = 30 batches" in figure.get_supxlabel()
    assert "a line every 64 bytes" in figure.get_supxlabel()
    np.testing.assert_array_equal(
        axes.lines[0].get_ydata(),
        loaded.dataset["latency_summary"].sel(memory="dram", statistic="p50", order="random"),
    )


def test_of_several_strides_the_plot_has_a_line_each(lab: Any) -> None:
    figure = chase.run(lab, **SMALL | {"strides": [64, 4096]}).plot()
    assert [axes.get_title() for axes in figure.axes] == ["DRAM, random", "FAM, random"]
    assert figure.axes[1].get_legend_handles_labels()[1] == ["64", "4096"]
