import itertools

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from fame_lab.probes.common.pair_heat_map import heat_map


def medians(nodes: int, variants: int = 1, times: float = 1.0) -> xr.DataArray:
    values = np.random.default_rng(1).uniform(80, 140, (variants, nodes, nodes)) * times
    values[:, range(nodes), range(nodes)] = np.nan
    names = [f"node{number + 1:02}" for number in range(nodes)]
    return xr.DataArray(
        values,
        {"variant": [f"v{i}" for i in range(variants)], "initiator": names, "responder": names},
        ("variant", "initiator", "responder"),
        attrs={"units": "ns", "long_name": "half a round trip"},
    )


def image(axes: Axes) -> npt.NDArray[np.float64]:
    [picture] = (artist for artist in axes.get_children() if isinstance(artist, AxesImage))
    return np.ma.masked_array(picture.get_array()).filled(np.nan)


def test_each_cell_is_a_pair_with_its_number_in_it() -> None:
    values = medians(4, variants=2)
    figure = heat_map(values, {}, "A title", "n = 3")
    first, second, bar = figure.axes
    assert np.array_equal(image(second), values.values[1], equal_nan=True)
    numbers = {text.get_position(): text.get_text() for text in second.texts}
    assert len(numbers) == 12  # none on the diagonal
    assert float(numbers[3, 0]) == pytest.approx(values.values[1, 0, 3], rel=0.005)
    assert (first.get_title(), second.get_title()) == ("v0", "v1")
    assert bar.get_ylabel() == "half a round trip [ns]"


def test_long_times_are_given_in_microseconds() -> None:
    figure = heat_map(medians(3, times=1000), {}, "A title", "n = 3")
    axes, bar = figure.axes
    assert bar.get_ylabel() == "half a round trip [µs]"
    assert 80 < image(axes)[0, 1] < 140


@pytest.mark.parametrize(("nodes", "variants", "expected"), [(2, 1, 2), (8, 4, 56), (9, 4, 0), (16, 1, 240)])
def test_numbers_are_written_while_they_can_be_read(nodes: int, variants: int, expected: int) -> None:
    figure = heat_map(medians(nodes, variants), {}, "A title", "n = 3")
    assert len(figure.axes[0].texts) == expected


@pytest.mark.parametrize("nodes", [2, 5, 40])
def test_the_axes_name_the_nodes_without_overlap(nodes: int) -> None:
    figure = heat_map(medians(nodes, variants=4), {}, "A title", "n = 3")
    figure.draw_without_rendering()
    for axis in (figure.axes[2].xaxis, figure.axes[2].yaxis):
        labels = [label for label in axis.get_ticklabels() if label.get_text()]
        assert len(labels) >= min(nodes, 5)
        assert all(label.get_text() == f"node{round(max(label.get_position())) + 1:02}" for label in labels)
        boxes = [label.get_window_extent() for label in labels]
        assert not any(one.overlaps(two) for one, two in itertools.pairwise(boxes))


def test_an_outlier_does_not_hide_the_others() -> None:
    values = medians(4)
    values[0, 1, 2] = 5.123e6
    axes, bar = heat_map(values, {}, "A title", "n = 3").axes
    low, high = bar.get_ylim()
    assert 80 <= low < high < 600
    assert "5.12M" in [text.get_text() for text in axes.texts]


def test_an_outlier_without_room_for_its_number_is_marked_by_more_than_its_colour() -> None:
    values = medians(17)
    values[0, 1, 2] = 5.123e6
    axes, bar = heat_map(values, {}, "A title", "n = 3").axes
    [crosses] = axes.lines
    assert np.asarray(crosses.get_xydata()).tolist() == [[2, 1]]
    assert bar.get_ylabel().endswith("orange, x: over 4 times the median")
