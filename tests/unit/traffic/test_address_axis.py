import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from fame_lab.spec.fam_layout import Books
from fame_lab.traffic.plots.address_axis import columns, label_columns, label_homes
from fame_lab.traffic.plots.captions import count_label

MIB = 1 << 20


def test_a_few_scattered_granules_are_a_column_each() -> None:
    axis = columns(np.array([0, 64, 200 * MIB], "u8"), 64)
    assert axis.unit == 64 and axis.offsets.tolist() == [0, 64, 200 * MIB]
    assert axis.gaps.tolist() == [2]


def test_a_fam_in_use_throughout_is_to_scale() -> None:
    axis = columns(np.arange(0, 1 << 30, 4096), 4096)
    assert axis.unit == 4 * MIB and axis.offsets.tolist() == list(range(0, 1 << 30, 4 * MIB))
    assert not axis.gaps.size


def test_far_apart_regions_are_both_seen() -> None:
    near, far = np.arange(0, 64 * MIB, 4096), np.arange(1 << 38, (1 << 38) + 64 * MIB, 4096)
    axis = columns(np.concatenate([near, far]), 4096)
    assert axis.offsets.size == 256 and axis.gaps.tolist() == [128]


@settings(deadline=None)
@given(st.sets(st.integers(0, (1 << 33) - 1), max_size=400), st.integers(2, 300))
def test_no_more_columns_than_asked_for_and_nothing_lost(numbers: set[int], most: int) -> None:
    offsets = np.array(sorted(numbers), "i8") * 64
    axis = columns(offsets, 64, most)
    assert axis.offsets.size <= most
    assert not (axis.offsets % axis.unit).any()
    values = np.arange(2 * offsets.size, dtype="u8").reshape(2, -1)
    assert axis.add(values).sum(axis=1).tolist() == values.sum(axis=1).tolist()
    assert axis.offsets.tolist() == sorted({int(each) // axis.unit * axis.unit for each in offsets})


def test_labels_and_gaps_are_marked() -> None:
    axes = Figure().subplots()
    label_columns(axes, columns(np.array([0, 64, 4096, 200 * MIB]), 64))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0x0", "0x40", "0x1000", "0xc800000"]
    assert axes.get_xlabel() == "offset in FAM, 64 B a column; 2 untouched stretches left out"
    assert len(axes.lines) == 2


@pytest.mark.parametrize(
    ("layout", "expected"),
    [("contiguous", ["1", "2", "3"]), ("interleaved", ["homes: interleaved, a book is 4 KiB"])],
)
def test_homes_are_numbered_while_they_can_be_read(layout: str, expected: list[str]) -> None:
    axes = Figure().subplots()
    books = Books(MIB, 4096, 3, layout)  # type: ignore[arg-type]
    label_homes(axes, columns(np.arange(0, MIB - 65536, 4096), 4096), books, 0, 1)
    assert [text.get_text() for text in axes.texts] == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0"), (7, "7"), (999, "999"), (1000, "1k"), (51_200, "51.2k"), (999_999, "1000k"), (2.5e9, "2.5G")],
)
def test_counts_are_written_short(count: float, expected: str) -> None:
    assert count_label(count) == expected
