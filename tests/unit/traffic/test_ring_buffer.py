import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fame_lab.errors import TrafficError
from fame_lab.traffic.trace.ring_buffer import ACCESS, CAPACITY, CONTINUED, LOAD, STORE, AccessRing

FAM = 1 << 20
WRITTEN, DRAINED, RECORDS = 64, 128, 8192


@pytest.fixture
def path(tmp_path: Path) -> Path:
    AccessRing.create(tmp_path / "node01.order", 2)
    return tmp_path / "node01.order"


@pytest.fixture
def ring(path: Path) -> Iterator[AccessRing]:
    opened = AccessRing(path, 2, FAM)
    yield opened
    opened.close()


def tell(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def accesses(*rows: tuple[int, int, int, int]) -> bytes:
    return np.array(list(rows), ACCESS).tobytes()


def test_what_was_written_is_drained_once(path: Path, ring: AccessRing) -> None:
    tell(path, RECORDS, accesses((5, 0, 8, LOAD), (6, FAM - 8, 8, STORE | CONTINUED)))
    tell(path, WRITTEN, (2).to_bytes(8, "little"))
    first, second = ring.drain()
    assert first.tolist() == [(5, 0, 8, LOAD), (6, FAM - 8, 8, STORE | CONTINUED)]
    assert len(second) == 0
    assert len(ring.drain()[0]) == 0


@pytest.mark.parametrize(
    "access",
    [
        (1, FAM, 8, LOAD),
        (1, FAM - 4, 8, LOAD),
        (1, (1 << 64) - 4, 8, LOAD),
        (1, 0, 0, LOAD),
        (1, 0, 8, 0),
        (1, 0, 8, 64),
    ],
)
def test_an_access_that_none_can_be_is_refused(
    path: Path, ring: AccessRing, access: tuple[int, int, int, int]
) -> None:
    tell(path, RECORDS, accesses(access))
    tell(path, WRITTEN, (1).to_bytes(8, "little"))
    with pytest.raises(TrafficError, match="an access that none can be"):
        ring.drain()


def test_what_came_after_a_ring_was_given_back_is_thrown_away(path: Path, ring: AccessRing) -> None:
    tell(path, RECORDS, accesses((5, 0, 8, LOAD)))
    ring.give_back()
    tell(path, WRITTEN, (1).to_bytes(8, "little"))
    ring.discard()
    assert [len(each) for each in ring.drain()] == [0, 0]


WORDS = st.integers(0, (1 << 64) - 1) | st.integers(0, CAPACITY + 2)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(write_count=WORDS, drained=WORDS, records=st.binary(max_size=96))
def test_whatever_a_ring_holds_there_are_accesses_to_fam_or_an_error(
    path: Path, ring: AccessRing, write_count: int, drained: int, records: bytes
) -> None:
    tell(path, RECORDS, records)
    tell(path, WRITTEN, write_count.to_bytes(8, "little"))
    tell(path, DRAINED, drained.to_bytes(8, "little"))
    try:
        drained_accesses = ring.drain()[0]
    except TrafficError as error:
        assert len(str(error)) < 1000
        return
    assert len(drained_accesses) <= CAPACITY
    assert (drained_accesses["offset"] < FAM).all()
    assert ring.lost() >= 0


def test_a_ring_that_is_cut_while_it_is_read_is_an_error_and_no_crash(path: Path, ring: AccessRing) -> None:
    tell(path, WRITTEN, (9).to_bytes(8, "little"))
    os.truncate(path, RECORDS)
    with pytest.raises(TrafficError, match="cut short"):
        ring.drain()
