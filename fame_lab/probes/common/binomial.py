"""Shares: k of n, with the confidence interval of the proportion."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["describe_share", "share_bounds"]

_CONFIDENCE = 0.95
#: -ln(1 - 0.95), which is why the rule has its name.
_RULE_OF_THREE = 3.0


def share_bounds(count: int, of: int) -> tuple[float, float]:
    """Bound a share of which `count` in `of` were observed: 95 %.

    For none, or all, by the rule of three: had the share been 3/n, none would have been seen in 5 % of
    cases (J. A. Hanley and A. Lippman-Hand, If Nothing Goes Wrong, Is Everything All Right?, JAMA 1983).
    Between, exactly (C. J. Clopper and E. S. Pearson, The Use of Confidence or Fiducial Limits,
    Biometrika 1934). Both take the trials as independent of each other.

    Parameters
    ----------
    count, of : int
        `of` is 1 or more, and `count` no more than it.

    Returns
    -------
    low, high : float

    Examples
    --------
    >>> share_bounds(0, 1000)
    (0.0, 0.003)
    >>> [round(bound, 4) for bound in share_bounds(5, 50)]
    [0.0333, 0.2181]
    """
    return 1 - _upper(of - count, of), _upper(count, of)


def _upper(count: int, of: int) -> float:
    if count == of:
        return 1.0
    if count == 0:
        return min(_RULE_OF_THREE / of, 1.0)
    low, high = count / of, 1.0
    while high - low > 1e-15:
        middle = (low + high) / 2
        if _at_most(count, of, middle) > (1 - _CONFIDENCE) / 2:
            low = middle
        else:
            high = middle
    return high


def _at_most(count: int, of: int, share: float) -> float:
    """Return the probability of `count` or fewer in `of`, where `share` is above count / of."""
    if share >= 1:
        return 0.0
    log_last = (
        math.lgamma(of + 1)
        - math.lgamma(count + 1)
        - math.lgamma(of - count + 1)
        + count * math.log(share)
        + (of - count) * math.log1p(-share)
    )
    # Each term from the one above it. Those further down than this do not show in a double.
    below = np.arange(count, max(count - 60 - 40 * math.isqrt(count), 0), -1.0)
    terms = np.cumprod(below / (of - below + 1) * ((1 - share) / share))
    return math.exp(log_last) * (1 + float(terms.sum()))


def describe_share(count: int, of: int) -> str:
    """Return what was observed, and no more than `of` trials allow.

    Examples
    --------
    >>> describe_share(12, 1000)
    'observed 12 in 1,000'
    >>> describe_share(0, 1000000)
    'not observed in 1,000,000'
    """
    return f"observed {count:,} in {of:,}" if count else f"not observed in {of:,}"
