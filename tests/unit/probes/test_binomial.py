from fractions import Fraction
from math import comb

import pytest

from fame_lab.probes.common.binomial import describe_share, share_bounds


def test_nothing_seen_is_bounded_by_the_rule_of_three() -> None:
    assert share_bounds(0, 1_000_000) == (0, 3e-6)
    assert share_bounds(0, 2) == (0, 1)
    assert share_bounds(300, 300) == pytest.approx((0.99, 1))


def at_most(count: int, of: int, share: float) -> float:
    exact = Fraction(share)
    return float(sum(comb(of, i) * exact**i * (1 - exact) ** (of - i) for i in range(count + 1)))


@pytest.mark.parametrize(("count", "of"), [(1, 1000), (1, 2), (5, 50), (25, 50), (49, 50), (150, 200)])
def test_beyond_each_bound_so_many_would_be_seen_in_a_fortieth_of_cases(count: int, of: int) -> None:
    low, high = share_bounds(count, of)
    assert at_most(count, of, high) == pytest.approx(0.025, rel=1e-6)
    assert 1 - at_most(count - 1, of, low) == pytest.approx(0.025, rel=1e-6)


@pytest.mark.parametrize("count", [1, 10, 100_000, 500_000, 999_999])
def test_bounds_of_many_trials_hold_the_share(count: int) -> None:
    low, high = share_bounds(count, 1_000_000)
    assert 0 < low < count / 1_000_000 < high < 1
    # Far from the ends they come near to the normal approximation.
    if count in (100_000, 500_000):
        share = count / 1e6
        assert high - low == pytest.approx(2 * 1.96 * (share * (1 - share) / 1e6) ** 0.5, rel=0.01)


def test_a_finding_says_no_more_than_was_seen() -> None:
    assert describe_share(0, 10_000) == "not observed in 10,000"
    assert describe_share(1234, 10_000) == "observed 1,234 in 10,000"
