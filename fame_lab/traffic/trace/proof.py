"""The proof that a node counts its accesses to FAM, and no other memory."""

from __future__ import annotations

import numpy as np

from fame_lab.errors import TrafficError
from fame_lab.traffic.trace.counter_layout import FINEST_GRANULE
from fame_lab.traffic.trace.counters import Counters

__all__ = ["check_pattern"]


def check_pattern(name: str, counters: Counters, at: int) -> None:
    """Compare the counts of the pattern page with the accesses of guest/probe/pattern.c."""
    lines = np.arange(4096 // FINEST_GRANULE)
    numbers, tallies = counters.granules(FINEST_GRANULE)
    here = np.isin(numbers, at // FINEST_GRANULE + lines)
    expected = [(i + 1, 2 * i + 1, 8 * (i + 1), 8 * (2 * i + 1)) for i in lines.tolist()]
    if tallies[here].tolist() != expected:
        totals = (int(tallies[here]["loads"].sum()), int(tallies[here]["stores"].sum()))
        right = (sum(row[0] for row in expected), sum(row[1] for row in expected))
        raise TrafficError(
            f"{name} does not count FAM: of a known pattern of {right} loads and stores it counted {totals}; "
            "this QEMU tells the plugin other addresses than fame_lab expects, so nothing is recorded"
        )
