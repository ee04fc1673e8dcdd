import subprocess
import sys
from pathlib import Path

import pytest
from made_traffic import a_crowd, a_trace, some_samples
from matplotlib.figure import Figure

from fame_lab.errors import SpecError, TrafficError
from fame_lab.traffic.traffic import Traffic

KINDS = ["overview", "matrix", "heat", "time", "sharing"]
FAR = 32 << 20
TRACE = a_trace(
    {("load", 1, 0): 51_200, ("load", 2, 0): 3, ("store", 2, FAR): 7},
    looks=[(0.5, {("load", 1, 0): 51_200}), (1.0, {("load", 2, 0): 3, ("store", 2, FAR): 7})],
    ended={"node02": "its QEMU died after 0.9 s ($status 1$)"},
)
SAMPLES = some_samples({0: 2, FAR: 1})


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("nodes", [1, pytest.param(2, marks=pytest.mark.soak), 4, 40])
def test_each_figure_is_a_picture_whatever_the_number_of_nodes(nodes: int, what: str) -> None:
    figure = a_crowd(60, nodes=nodes, looks=3).plot(what)
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


@pytest.mark.parametrize("what", KINDS)
def test_nothing_at_all_can_be_drawn(what: str) -> None:
    figure = a_trace({}).plot(what)
    figure.draw_without_rendering()
    assert "Framed" not in "".join(texts(figure))


@pytest.mark.parametrize("what", KINDS)
def test_each_figure_says_its_source_what_it_cannot_see_and_its_resolution(what: str) -> None:
    foot = TRACE.plot(what).get_supxlabel()
    assert foot.startswith("traced: exact counts; not seen: ")
    assert "2 looks in 1 s, one in 0.5 s (median); granules of 4 KiB; watched: all of FAM" in foot
    assert "emulated" not in foot


@pytest.mark.parametrize("what", ["overview", "heat", "time"])
def test_figures_of_samples_say_so(what: str) -> None:
    foot = SAMPLES.plot(what).get_supxlabel()
    assert foot.startswith("sampled: what changed between two looks; no loads, no author\nn = 3 looks, ")
    assert "\n3 looks in 0.3 s, " in foot
    by_node = some_samples({0: 2, FAR: 1}, by={0: [1, 1], FAR: [0, 1]}).plot(what)
    by_node.draw_without_rendering()
    assert "no loads; author as soft-dirty pages tell" in by_node.get_supxlabel()


def test_a_node_whose_counts_ended_early_is_marked_and_explained() -> None:
    figure = TRACE.plot("matrix")
    assert "† node02's counts ended early: its QEMU died after 0.9 s" in figure.get_supxlabel()
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["1", "2†"]
    figure.draw_without_rendering()  # dollars are no mathematics


def test_a_long_tale_of_ends_stays_short() -> None:
    nodes = {f"node{number:02d}": "gone\n" * 500 for number in range(1, 9)}
    foot = a_trace({}, nodes=8, ended=nodes).plot("matrix").get_supxlabel()
    assert "† and those of 5 more" in foot
    assert len(foot.splitlines()) < 13 and max(map(len, foot.splitlines())) <= 116


def test_cells_of_a_matrix_have_their_number_and_zeroes_are_plain() -> None:
    figure = TRACE.plot("matrix")
    assert texts(figure) == ["51.2k", "3", "7"]
    loads, stores, *_ = figure.axes
    assert loads.get_title() == "loads: 51.2k, 0.0% remote"
    assert stores.get_title() == "stores: 7, 0.0% remote"


def test_cells_too_small_for_numbers_have_none() -> None:
    assert texts(a_crowd(60, nodes=10, looks=0).plot("matrix"))
    assert not texts(a_crowd(60, nodes=11, looks=0).plot("matrix"))


def test_heat_has_its_homes_beneath() -> None:
    assert texts(TRACE.plot("heat")) == ["1", "2", "1", "2"]


@pytest.mark.parametrize("most", [10, 300, 1999, 10**9])
def test_colours_are_explained_by_several_numbers_however_few_decades_there_are(most: int) -> None:
    figure = a_trace({("load", 1, 0): most, ("store", 2, FAR): max(1, most // 49)}).plot("matrix")
    figure.draw_without_rendering()
    bar = figure.axes[-1]
    low, high = bar.get_ylim()
    assert bar.get_ylabel() == "accesses"
    assert sum(low <= at <= high for at in bar.get_yticks()) >= 3


def test_granules_are_counted_in_whole_numbers() -> None:
    figure = a_trace({("load", 1, 0): 1, ("load", 2, FAR): 1}).plot("sharing")
    figure.draw_without_rendering()
    assert all(float(at).is_integer() for at in figure.axes[0].get_xticks())


@pytest.mark.parametrize("what", ["matrix", "sharing"])
def test_samples_cannot_be_drawn_as_what_they_are_not(what: str) -> None:
    with pytest.raises(TrafficError, match="samples have no author"):
        SAMPLES.plot(what)


def test_a_figure_that_there_is_not_is_refused() -> None:
    with pytest.raises(SpecError, match="'overview', 'matrix', 'heat', 'time', 'sharing'"):
        TRACE.plot("pie")


def test_a_figure_needs_neither_a_lab_nor_pyplot(tmp_path: Path) -> None:
    place = TRACE.save(tmp_path / "kept")
    program = (
        "import sys; from fame_lab import Traffic; Traffic.load(sys.argv[1]).plot()._repr_png_();"
        "sys.exit(any(name in sys.modules for name in ('matplotlib.pyplot', 'libvirt', 'paramiko')))"
    )
    assert subprocess.run([sys.executable, "-c", program, str(place)], check=False).returncode == 0


def test_what_is_loaded_is_drawn_as_what_was_saved(tmp_path: Path) -> None:
    loaded = Traffic.load(TRACE.save(tmp_path / "kept"))
    assert loaded.plot().get_supxlabel() == TRACE.plot().get_supxlabel()
    assert texts(loaded.plot()) == texts(TRACE.plot())
