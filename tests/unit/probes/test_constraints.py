from typing import Any

import pytest

from fame_lab.probes.common.constraints import Choices, Constraint, Multiple, PowerOfTwo, Range, Several

BATCHES, BATCH_MS = Range(30, 1000), Range(1.0, 1000.0, "milliseconds")
PEER_TIMEOUT = Range(1.0, 3600.0, "seconds", whole=True)


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        (BATCHES, [29, 1001, True, 50.0, "50", None]),
        (BATCH_MS, [0.9, 1000.1, "1", float("nan"), True]),
        (PEER_TIMEOUT, [0, 3601, True, "10", 1.5]),
        (Multiple(64, 0), [8, -64, "many", True, 64.0]),
        (Multiple(64), [0]),
        (Multiple(8, 8, 1 << 20), [0, 12, "2M"]),
        (PowerOfTwo(2, 65536), [3, 1, 131072, True, 0, -2]),
        (Several(PowerOfTwo(64, 4096)), [[32], [192], [64, "64"], [], [True], list(range(65))]),
        (Choices("tas", "mcs"), [[], ["clh"], ["tas", "tas"], [["tas"]], [1]]),
    ],
)
def test_what_cannot_be_is_refused(constraint: Constraint, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ValueError):
            constraint.read(value)


@pytest.mark.parametrize(
    ("constraint", "value", "expected"),
    [
        (BATCHES, 30, 30),
        (BATCH_MS, 1000, 1000),
        (PEER_TIMEOUT, 10.0, 10.0),
        (Multiple(64, 0), "4K", 4096),
        (Several(PowerOfTwo(64, 4096)), [64, "4K"], [64, 4096]),
        (Choices("tas", "mcs"), ("mcs",), ["mcs"]),
    ],
)
def test_what_can_be_is_taken(constraint: Constraint, value: Any, expected: Any) -> None:
    assert constraint.read(value) == expected


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        (Range(0, 2**64 - 1), "a whole number from 0 to 2^64-1"),
        (Range(0.05, 10.0), "a number from 0.05 to 10"),
        (BATCH_MS, "1 to 1000 milliseconds"),
        (PEER_TIMEOUT, "1 to 3600 seconds, whole ones"),
        (Multiple(64, 4096, 16 << 30), "a multiple of 64 bytes, from 4K to 16G"),
        (PowerOfTwo(2, 65536), "a power of two from 2 to 65536"),
        (Several(Range(0, 9)), "1 to 64 values, each once, and each a whole number from 0 to 9"),
        (Choices("dram", "fam"), "one or both of dram, fam"),
        (Choices("tas", "ticket", "mcs"), "some of tas, ticket, mcs, each once"),
    ],
)
def test_it_is_put_into_words(constraint: Constraint, words: str) -> None:
    assert str(constraint) == words
