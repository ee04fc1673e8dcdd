"""What a workload must leave in FAM, worked out anew by the host, and what became of it.

The host looks when all nodes have ended; its looks are no node's accesses, and are not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Left", "Outcome"]

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Left:
    """What is left of one run of a workload, and what it was to do.

    Parameters
    ----------
    seed, parties : int
    operations : int
        Of one node, over all batches and the warm-up.
    private : sequence of ndarray
        Each node's own data, in order; empty if it had none.
    shared : ndarray
        What all shared; empty if there was nothing.
    writes, torn : int
        What the nodes told: records written to a key-value store, and records read that no one had written.
    """

    seed: int
    parties: int
    operations: int
    private: Sequence[Words]
    shared: Words
    writes: int
    torn: int


@dataclass(frozen=True)
class Outcome:
    """How many words or records are not as they must be, of how many, and whether that may never happen."""

    errors: int
    of: int
    failed: str = ""
