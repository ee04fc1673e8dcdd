"""How often an interval of 95 % encloses no difference of two runs of the same: the kit's, a bootstrap's.

python tests/benchmarks/coverage.py [--tries 1000]
"""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np

from fame_lab.experiments.compare.median_intervals import Interval, difference
from fame_lab.results.sample import Sample

SURE = 1.96


def correlated(rng: np.random.Generator, runs: int, n: int, by: float) -> Any:
    """Runs of which each value depends on the one before, with a long tail upwards, as times have."""
    noise = rng.standard_normal((runs, n + 200))
    for at in range(1, n + 200):
        noise[:, at] = by * noise[:, at - 1] + math.sqrt(1 - by * by) * noise[:, at]
    return np.exp(0.1 * noise[:, 200:])


def by_bounds(a: Any, b: Any) -> bool | None:
    samples = Sample(a), Sample(b)
    bounds = [each.bounds(SURE) for each in samples]
    if bounds[0] is None or bounds[1] is None:
        return None
    apart = difference(
        Interval(samples[0].median, *bounds[0]).log(), Interval(samples[1].median, *bounds[1]).log()
    )
    return apart.low <= 0 <= apart.high


def by_bootstrap(rng: np.random.Generator, a: Any, b: Any) -> bool:
    drawn_a, drawn_b = (
        np.median(each[rng.integers(0, each.size, (500, each.size))], axis=1) for each in (a, b)
    )
    low, high = np.percentile(drawn_b - drawn_a, (2.5, 97.5))
    return bool(low <= 0 <= high)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=1000)
    tries = parser.parse_args().tries
    rng = np.random.default_rng(1)
    for n in (30, 50, 100, 300):
        for by in (0.0, 0.3, 0.6, 0.9):
            pairs = [*zip(correlated(rng, tries, n, by), correlated(rng, tries, n, by), strict=True)]
            verdicts = [by_bounds(a, b) for a, b in pairs]
            known = [each for each in verdicts if each is not None]
            plain = [by_bootstrap(rng, a, b) for a, b in pairs[: max(100, tries // 4)]]
            print(
                f"n = {n}, correlation {by}: enclosed in {np.mean(known):.1%}, too few in "
                f"{1 - len(known) / len(verdicts):.0%}; by a plain bootstrap in {np.mean(plain):.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
