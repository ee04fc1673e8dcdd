"""Check what a workload left in FAM against what the host computes.

The host reads FAM when all nodes have ended. Its reads are no node's accesses, and are not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FinalState", "Outcome", "check_gups", "check_histogram", "check_kv", "check_stream"]

Words = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_AT_ONCE = 1 << 18
_SCALAR = 0.4142135623730951  # that of workload_stream.c
_RECORD = 8


@dataclass(frozen=True)
class FinalState:
    """The data that one run of a workload left, and the figures that they follow from.

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
        As the nodes report: records written to a key-value store, and records read that no one had written.
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


def check_stream(run: FinalState) -> Outcome:
    """Compare with STREAM's rounds, done for one element of each array: all elements are alike."""
    a, b, c = 1.0, 2.0, 0.0
    elements = run.private[0].size // 3
    for _ in range(run.operations // (4 * elements)):
        c = a
        b = _SCALAR * c
        c = a + b
        a = b + _SCALAR * c
    expected = np.repeat([a, b, c], elements).view(np.uint64)
    wrong = sum(int((data[: 3 * elements] != expected).sum()) for data in run.private)
    return _never(wrong, 3 * elements * run.parties, "elements of the arrays are not what STREAM makes them")


def check_gups(run: FinalState) -> Outcome:
    """Compare with all updates, done again. Several nodes may lose some, for they are not atomic."""
    expected = np.arange(run.shared.size, dtype=np.uint64)
    for numbers in _random_numbers(run):
        np.bitwise_xor.at(expected, _below(numbers, run.shared.size), numbers)
    wrong = int((expected != run.shared).sum())
    if run.parties > 1:
        return Outcome(wrong, run.shared.size)
    return _never(wrong, run.shared.size, "words of the table are not what one node's updates make them")


def check_histogram(run: FinalState) -> Outcome:
    """Compare with all samples, counted again."""
    expected = np.zeros(run.shared.size, np.int64)
    for numbers in _random_numbers(run):
        expected += np.bincount(_below(numbers, run.shared.size).astype(np.int64), minlength=expected.size)
    counted, samples = int(run.shared.sum(dtype=np.uint64)), run.parties * run.operations
    wrong = int((expected.astype(np.uint64) != run.shared).sum())
    return _never(
        wrong, expected.size, f"bins are wrong: {samples} samples were added and {counted} are in the bins"
    )


def check_kv(run: FinalState) -> Outcome:
    """Check that every record is whole and of its key, and that the versions count all writes."""
    records = run.shared.reshape(-1, _RECORD)
    versions, first = records[:, 0], records[:, 1]
    follow = first[:, None] ^ (np.arange(_RECORD - 1, dtype=np.uint64) * _GOLDEN)
    of_key = (first & np.uint64(0xFFFFFFFF)) == np.arange(len(records), dtype=np.uint64)
    whole = (follow == records[:, 1:]).all(axis=1) & of_key & (versions % 2 == 0)
    broken = int((~whole).sum())
    writes = int((versions // 2).sum(dtype=np.uint64))
    failed = []
    if run.torn:
        failed.append(f"{run.torn} reads gave a value that nobody wrote")
    if broken:
        failed.append(f"{broken} of {len(records)} records hold a value that nobody wrote")
    if writes != run.writes:
        failed.append(f"{run.writes} writes were made and the versions count {writes}")
    # A broken version may hold any number.
    miscounted = min(abs(run.writes - writes), len(records))
    return Outcome(run.torn + broken + miscounted, len(records), "; ".join(failed))


def _never(wrong: int, of: int, what: str) -> Outcome:
    return Outcome(wrong, of, f"{wrong} of {of} {what}" if wrong else "")


def _from(state: int, count: int) -> Words:
    """Return the first numbers of splitmix64, as random.h does; a node's state is the seed's of its rank."""
    z = np.uint64(state) + np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _random_numbers(run: FinalState) -> Iterator[Words]:
    """Yield the random numbers of all nodes, up to `_AT_ONCE` at a time."""
    for rank in range(run.parties):
        begin = int(_from(run.seed, rank + 1)[rank])
        for at in range(0, run.operations, _AT_ONCE):
            state = (begin + at * int(_GOLDEN)) % (1 << 64)
            yield _from(state, min(_AT_ONCE, run.operations - at))


def _below(numbers: Words, limit: int) -> Words:
    """Return the high half of the product, as random.h does; the limit is below 2^32."""
    low, high = numbers & np.uint64(0xFFFFFFFF), numbers >> np.uint64(32)
    return (high * np.uint64(limit) + (low * np.uint64(limit) >> np.uint64(32))) >> np.uint64(32)
