import itertools

import pytest
from matplotlib.axes import Axes

from fame_lab.results import plots


def panel(low: float, high: float, columns: int = 1, height: float = 3.7) -> Axes:
    figure, [axes, *_] = plots.figure("A title", {}, "n = 3", columns=columns, height=height)
    axes.plot([low, high], [low, high])
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        plots.plain_log(axis)
    figure.draw_without_rendering()
    return axes


@pytest.mark.parametrize("columns", [1, 4])
@pytest.mark.parametrize("low", [0.02, 53])
@pytest.mark.parametrize("times", [1.3, 7, 12, 60, 1e7])
def test_a_logarithmic_axis_has_several_labels_and_none_overlaps(
    low: float, times: float, columns: int
) -> None:
    axes = panel(low, low * times, columns)
    for axis in (axes.xaxis, axes.yaxis):
        first, last = axis.get_view_interval()
        ticks = [tick for tick in axis.get_major_ticks() if first <= tick.get_loc() <= last]
        assert len(ticks) >= 2
        boxes = [tick.label1.get_window_extent() for tick in ticks]
        assert not any(one.overlaps(two) for one, two in itertools.pairwise(boxes))


def test_labels_follow_where_one_zooms_to() -> None:
    axes = panel(1, 1e6)
    axes.set_xlim(2.2, 2.9)
    axes.get_figure(root=True).draw_without_rendering()  # type: ignore[union-attr]
    assert [text.get_text() for text in axes.get_xticklabels()][:3] == ["2.2", "2.3", "2.4"]


@pytest.mark.parametrize("times", [1.4, 4, 1 << 12, 1 << 30])
def test_sizes_have_several_labels_and_none_overlaps(times: float) -> None:
    figure, panels = plots.figure("A title", {}, "n = 3", columns=3)
    for axes, low in zip(panels, [8, 4096, 5000], strict=True):
        axes.plot([low, low * times], [1, 2])
        plots.size_axis(axes, "size")
    figure.draw_without_rendering()
    for axes in panels:
        first, last = axes.get_xlim()
        ticks = [tick for tick in axes.xaxis.get_major_ticks() if first <= tick.get_loc() <= last]
        assert len(ticks) >= 2
        boxes = [tick.label1.get_window_extent() for tick in ticks]
        assert not any(one.overlaps(two) for one, two in itertools.pairwise(boxes))


def test_a_size_axis_is_labelled_in_powers_of_two() -> None:
    figure, [axes] = plots.figure("A title", {}, "n = 3")
    axes.plot([4096, 1 << 24], [1, 2])
    plots.size_axis(axes, "working set")
    figure.draw_without_rendering()
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert {"4 KiB", "1 MiB", "16 MiB"} <= set(labels)
