import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.experiments.compare.quantities import ExactPoint, MeasuredPoint
from fame_lab.experiments.compare.verdicts import Row, judge
from fame_lab.results.sample import Sample


def a_sample(middle: float, spread: float, n: int = 50, seed: int = 0) -> Sample:
    return Sample(middle + spread * np.random.default_rng(seed).standard_normal(n))


def judged_pair(a: Sample, b: Sample) -> Row:
    (row,) = judge([MeasuredPoint("chase", "latency", "ns", {}, a, b)])
    return row


def test_medians_that_are_apart_by_more_than_the_spread_differ() -> None:
    row = judged_pair(a_sample(100, 1), a_sample(110, 1, seed=1))
    assert row.verdict == "differs" and not row.within_spread
    assert row.low < row.ratio < row.high
    assert row.low > 1.08 and row.high < 1.12
    assert row.ratio == row.b / row.a


def test_medians_whose_interval_encloses_1_agree() -> None:
    assert judged_pair(a_sample(100, 5), a_sample(100, 5, seed=1)).verdict == "agrees"


def test_a_difference_within_the_spread_is_none_however_sure_it_is() -> None:
    row = judged_pair(a_sample(100, 5, n=2000), a_sample(102, 5, n=2000, seed=1))
    assert row.low > 1
    assert row.within_spread and row.verdict == "agrees"


def test_a_wide_spread_of_one_hides_no_difference() -> None:
    row = judged_pair(a_sample(100, 1, n=300), a_sample(130, 60, n=300, seed=1))
    assert row.verdict == "differs"


@pytest.mark.parametrize("n", [1, 2, 7])
def test_a_handful_of_batches_is_too_few(n: int) -> None:
    row = judged_pair(a_sample(100, 1, n=n), a_sample(200, 1, n=50))
    assert row.verdict == "too few"
    assert math.isnan(row.low) and row.ratio == pytest.approx(2, rel=0.1)


def test_a_run_that_drifts_has_too_few_batches_that_tell() -> None:
    drifting = Sample(np.linspace(90, 110, 30))
    assert judged_pair(drifting, a_sample(150, 1)).verdict == "too few"


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40))
def test_a_sample_agrees_with_itself(values: list[float]) -> None:
    sample = Sample(np.array(values))
    assert judged_pair(sample, sample).verdict == "agrees"


def test_values_of_0_and_below_have_no_ratio_and_are_told_apart_all_the_same() -> None:
    zeros = Sample(np.zeros(50))
    row = judged_pair(zeros, a_sample(5, 1))
    assert row.verdict == "differs" and math.isnan(row.ratio) and row.factor == math.inf
    assert judged_pair(a_sample(-5, 1), a_sample(-5, 1, seed=1)).verdict == "agrees"


def test_a_bound_of_0_that_the_probe_gave_leaves_no_interval_of_the_ratio() -> None:
    row = judged_pair(Sample(np.array([1.0]), (0.0, 1.5)), Sample(np.array([2.0]), (1.9, 2.1)))
    assert row.verdict == "differs" and row.ratio == 2
    assert math.isnan(row.low) and math.isnan(row.high)


def test_among_many_comparisons_each_has_to_be_surer() -> None:
    def width(others: int) -> float:
        points = [
            MeasuredPoint("chase", "latency", "ns", {}, a_sample(9, 1, 200), a_sample(9, 1, 200, each))
            for each in range(others)
        ]
        row = judge(points)[0]
        return row.high / row.low

    assert width(1) < width(200)


def test_of_many_runs_of_the_same_hardly_one_is_said_to_differ() -> None:
    points = [
        MeasuredPoint("chase", "latency", "ns", {}, a_sample(9, 1, 50, seed), a_sample(9, 1, 50, seed + 1))
        for seed in range(0, 2000, 2)
    ]
    assert "differs" not in {row.verdict for row in judge(points)}


def test_counts_agree_if_they_are_equal() -> None:
    rows = judge(
        [
            ExactPoint("traffic", "accesses", "accesses", {"op": "load"}, 5, 5, True),
            ExactPoint("traffic", "accesses", "accesses", {"op": "store"}, 5, 10, False),
            ExactPoint("traffic", "granules", "", {}, 3, 3, False),
            ExactPoint("atomics", "lost", "", {}, 0, 4, False),
        ]
    )
    assert [row.verdict for row in rows] == ["agrees", "differs", "differs", "differs"]
    assert rows[1].ratio == 2 and math.isnan(rows[3].ratio) and rows[3].factor == math.inf
    assert rows[1].place == "op=store"
