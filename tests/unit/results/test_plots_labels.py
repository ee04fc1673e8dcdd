"""What every figure says of itself, whatever it draws."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from every_figure import FIGURES, Drawing
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

from fame_lab import probes
from fame_lab.results.plots import NotebookFigure

SOURCES = {"emulated", "traced", "sampled", "projected"}

# What is counted, or a share of it, is its own unit.
COUNTED = re.compile(
    r"\b(accesses|transactions|misses|lines|copies|granules|number|share|ratio|rate, to that"
    r"|nodes that contend|changed)\b"
)
UNIT = re.compile(r"\[.+\]|\(.+\)")
TICK_UNIT = re.compile(r"[\d.,]+ ?([KMGT]iB|B|ps|ns|µs|ms|s)$")


class Drawings:
    """Figures, each made when it is first asked for."""

    def __init__(self, directory: Callable[[str], Path]) -> None:
        self._directory = directory
        self._drawings: dict[str, Drawing] = {}

    def __call__(self, name: str) -> Drawing:
        if name not in self._drawings:
            self._drawings[name] = drawing = FIGURES[name](self._directory(name.replace(" ", "-")))
            drawing.figure.draw_without_rendering()
        return self._drawings[name]


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Drawings:
    return Drawings(tmp_path_factory.mktemp)


every = pytest.mark.parametrize("name", FIGURES)


def axes_of(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_visible() and axes.axison]


def label_of(axis: Axis) -> str:
    """Return its label, or that of a panel beside it which has the same ticks."""
    figure = axis.axes.get_figure(root=True)
    assert figure is not None
    alike = [
        each
        for axes in axes_of(figure)
        for each in (axes.xaxis, axes.yaxis)
        if type(each) is type(axis) and ticks_of(each) == ticks_of(axis)
    ]
    return next((text for each in [axis, *alike] if (text := each.get_label_text())), "")


def ticks_of(axis: Axis) -> list[str]:
    return [text for label in axis.get_ticklabels() if (text := label.get_text())]


def is_quantity(axis: Axis) -> bool:
    """Return whether it is a quantity, and not names: of nodes, tests, kinds, offsets in FAM."""
    ticks = ticks_of(axis)
    names = any(re.match(r"0x|[A-Za-z]", text) for text in ticks) or label_of(axis).endswith("by node")
    return bool(ticks) and not names


def quantities(figure: Figure) -> Iterator[Axis]:
    for axes in axes_of(figure):
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_visible() and is_quantity(axis):
                yield axis


def test_every_family_of_probes_is_held_to_this() -> None:
    assert set(probes.names()) <= {name.split()[0] for name in FIGURES}


@every
def test_it_names_its_source_first_and_no_other(drawings: Drawings, name: str) -> None:
    drawing = drawings(name)
    foot = drawing.figure.get_supxlabel()
    assert foot.startswith(drawing.source)
    assert {source for source in SOURCES if re.search(rf"\b{source}\b", foot)} == {drawing.source}


@every
def test_it_says_how_much_is_behind_it(drawings: Drawings, name: str) -> None:
    drawing = drawings(name)
    match = re.search(r"^n = ([\d,]+) [a-z]", drawing.figure.get_supxlabel(), re.MULTILINE)
    assert match is not None
    assert int(match[1].replace(",", "")) == drawing.n


@every
def test_it_says_at_last_whose_numbers_they_are_and_of_when(drawings: Drawings, name: str) -> None:
    last = drawings(name).figure.get_supxlabel().splitlines()[-1]
    assert re.fullmatch(r"demo: \d nodes, (TCG|KVM); 2025-03-04 05:06 UTC", last)


@every
def test_each_quantity_has_its_unit(drawings: Drawings, name: str) -> None:
    axes = [*quantities(drawings(name).figure)]
    assert axes
    for axis in axes:
        label, ticks = label_of(axis), ticks_of(axis)
        assert label
        in_ticks = all(TICK_UNIT.match(text) for text in ticks)
        assert UNIT.search(label) or COUNTED.search(label) or in_ticks, (label, ticks)


@every
def test_it_is_as_wide_as_a_cell_and_can_show_itself(drawings: Drawings, name: str) -> None:
    figure = drawings(name).figure
    assert isinstance(figure, NotebookFigure)
    assert figure.get_figwidth() == 8


def texts(figure: Figure) -> list[Text]:
    return [
        text for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip()
    ]  # fmt: skip


@every
def test_nothing_that_is_written_is_cut_off(drawings: Drawings, name: str) -> None:
    figure = drawings(name).figure
    room = figure.bbox.padded(2)
    ticks = {
        id(label) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)
        for tick in [*axis.majorTicks, *axis.minorTicks] for label in (tick.label1, tick.label2)
    }  # fmt: skip
    hidden = {id(text) for axes in figure.axes if not axes.axison for text in axes.findobj(Text)}
    for text in texts(figure):
        if id(text) in ticks | hidden:
            continue
        box = text.get_window_extent()
        assert room.x0 <= box.x0 and box.x1 <= room.x1, text
        assert room.y0 <= box.y0 and box.y1 <= room.y1, text


@every
def test_labels_of_ticks_do_not_overlap(drawings: Drawings, name: str) -> None:
    figure = drawings(name).figure
    for axes in axes_of(figure):
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            boxes = [
                tick.label1.get_window_extent()
                for tick in axis.get_major_ticks()
                if tick.label1.get_text() and tick.label1.get_visible() and low <= tick.get_loc() <= high
            ]
            assert not any(one.overlaps(two) for at, one in enumerate(boxes) for two in boxes[:at])


@every
def test_letters_have_the_sizes_of_the_house(drawings: Drawings, name: str) -> None:
    figure = drawings(name).figure
    panels = axes_of(figure)
    assert {text.get_fontsize() for axes in panels for text in (axes.xaxis.label, axes.yaxis.label)} <= {9.0}
    titles = {axes._left_title for axes in panels} | {axes.title for axes in panels}  # type: ignore[attr-defined]
    assert {title.get_fontsize() for title in titles if title.get_text()} <= {10.0}
    legends = [*figure.legends, *(legend for axes in panels if (legend := axes.get_legend()) is not None)]
    assert {text.get_fontsize() for legend in legends for text in legend.get_texts()} <= {8.0}


@pytest.mark.parametrize(
    ("name", "cache"),
    [
        ("transactions", "1K cache a node, 2 ways, LRU, hardware coherence"),
        (
            "transactions without coherence",
            "1K cache a node, 2 ways, LRU, software coherence, atomics in memory",
        ),
        ("projection of transactions", "1K cache a node, 2 ways, LRU, hardware coherence"),
    ],
)
def test_transactions_come_with_size_ways_policy_and_coherence(
    drawings: Drawings, name: str, cache: str
) -> None:
    assert cache in drawings(name).figure.get_supxlabel()


def test_transactions_say_what_is_left_out(drawings: Drawings) -> None:
    foot = drawings("transactions").figure.get_supxlabel()
    assert "through modelled caches" in foot
    assert "left out: what else a cache holds, prefetching, flushes, order on the way" in foot


def test_a_projection_says_whether_it_is_an_upper_bound(drawings: Drawings) -> None:
    assert "upper bound" in drawings("projection").figure.get_supxlabel()
    foot = drawings("projection of transactions").figure.get_supxlabel()
    assert "no overlap, no contention" in foot and "upper bound" not in foot
