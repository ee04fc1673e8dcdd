import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fame_lab.experiments.compare.median_intervals import Interval, difference
from fame_lab.results.sample import Sample

SURE = 1.96

VALUES = hnp.arrays(float, st.integers(1, 200), elements=st.floats(-1e9, 1e9))


def correlated(rng: np.random.Generator, runs: int, n: int, by: float) -> Any:
    """Runs whose neighbours correlate, with a long tail upwards, as times have."""
    noise = rng.standard_normal((runs, n + 200))
    for at in range(1, n + 200):
        noise[:, at] = by * noise[:, at - 1] + math.sqrt(1 - by * by) * noise[:, at]
    return np.exp(0.1 * noise[:, 200:])


@given(VALUES)
def test_a_median_lies_between_its_bounds_which_are_values(values: Any) -> None:
    sample = Sample(values)
    assert sample.inefficiency >= 1
    bounds = sample.bounds(SURE)
    if bounds is not None:
        assert bounds[0] <= sample.median <= bounds[1]
        assert set(bounds) <= set(values)


@given(VALUES)
def test_whoever_is_to_be_surer_gets_wider_bounds_or_none(values: Any) -> None:
    wide, wider = (Sample(values).bounds(quantile) for quantile in (1, 3))
    assert wider is None or (wide is not None and wider[0] <= wide[0] and wide[1] <= wider[1])


def test_seven_batches_are_too_few_and_eight_bound_it_by_the_extremes() -> None:
    values = np.array([5.0, 1, 6, 2, 7, 3, 8, 4])
    assert Sample(values[:7]).bounds(SURE) is None
    assert Sample(values).bounds(SURE) == (1, 8)


def test_what_is_always_the_same_is_known_exactly() -> None:
    assert Sample(np.full(30, 5.0)).bounds(SURE) == (5, 5)
    assert Sample(np.full(30, 5.0)).inefficiency == 1


def test_batches_that_follow_each_other_tell_less() -> None:
    rng = np.random.default_rng(1)
    alone, dependent = (
        np.mean([Sample(each).inefficiency for each in correlated(rng, 50, 300, by)]) for by in (0.0, 0.8)
    )
    # An autoregression's own is (1 + r) / (1 - r) = 9; that of being above the median a little less.
    assert alone < 1.6
    assert 5 < dependent < 11


def test_bounds_that_are_given_stand() -> None:
    assert Sample(np.array([1.0]), (0.9, 1.1)).bounds(5) == (0.9, 1.1)


@pytest.mark.parametrize("by", [0.0, 0.6])
@pytest.mark.parametrize("n", [30, 100])
def test_of_two_runs_of_the_same_the_bounds_enclose_no_difference_as_often_as_they_say(
    n: int, by: float
) -> None:
    rng = np.random.default_rng(7)
    runs = zip(correlated(rng, 400, n, by), correlated(rng, 400, n, by), strict=True)
    enclosed, total = 0, 0
    for pair in runs:
        samples = [Sample(each) for each in pair]
        bounds = [each.bounds(SURE) for each in samples]
        if None not in bounds:
            a, b = (Interval(s.median, *ends) for s, ends in zip(samples, bounds, strict=True) if ends)
            apart = difference(a.log(), b.log())
            enclosed += apart.low <= 0 <= apart.high
            total += 1
    assert total > 350
    assert enclosed / total > 0.93


@given(st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 3), min_size=2, max_size=2))
def test_a_difference_lies_between_its_bounds_and_changes_its_sign_with_its_sides(triples: Any) -> None:
    a, b = (Interval(middle, low, high) for low, middle, high in map(sorted, triples))
    there, back = difference(a, b), difference(b, a)
    assert there.low <= there.value <= there.high
    assert (back.value, back.low, back.high) == (-there.value, -there.high, -there.low)
