from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.traffic.sampling.change_counts import ChangeCounts, ChangeTimeline

LOOK = st.lists(st.integers(0, 40).map(lambda number: 64 * number), unique=True).map(sorted)


@given(st.lists(LOOK, max_size=12))
def test_a_tally_counts_as_a_counter_does(looks: list[list[int]]) -> None:
    tally = ChangeCounts()
    for look in looks:
        tally.add(np.array(look, np.int64))
    expected = Counter(offset for look in looks for offset in look)
    assert dict(zip(tally.offsets.tolist(), tally.counts.tolist(), strict=True)) == expected
    assert tally.offsets.tolist() == sorted(expected)
    everywhere = np.arange(0, 64 * 50, 64)
    assert tally.at(everywhere).tolist() == [expected[offset] for offset in everywhere.tolist()]


@given(st.lists(LOOK, max_size=40), st.integers(2, 9))
def test_a_timeline_keeps_every_count_in_few_rows(looks: list[list[int]], rows: int) -> None:
    timeline = ChangeTimeline(256, rows)
    for number, look in enumerate(looks):
        timeline.add(float(number), np.array(look, np.int64))
    times, bins, counts = timeline.table()
    expected = Counter(offset // 256 * 256 for look in looks for offset in look)
    assert dict(zip(bins.tolist(), counts.sum(0).tolist(), strict=True)) == expected
    assert len(times) <= rows
    assert times.tolist() == sorted(set(times.tolist()))
    assert times[-1:].tolist() == [float(len(looks) - 1)][: len(looks)]


def test_a_timeline_that_has_too_many_rows_joins_neighbours() -> None:
    timeline = ChangeTimeline(64, 4)
    for number in range(5):
        timeline.add(float(number), np.array([0, 64 * number], np.int64) if number else np.array([0]))
    times, bins, counts = timeline.table()
    assert times.tolist() == [1.0, 3.0, 4.0]
    assert bins.tolist() == [0, 64, 128, 192, 256]
    assert counts.tolist() == [[2, 1, 0, 0, 0], [2, 0, 1, 1, 0], [1, 0, 0, 0, 1]]
