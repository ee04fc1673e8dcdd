import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fame_lab.errors import TrafficError
from fame_lab.spec.fam_layout import CONTROL_SIZE
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.traffic.shared_file import HEADER_SIZE
from fame_lab.traffic.trace.counter_layout import TALLY, CounterLayout
from fame_lab.traffic.trace.counters import Counters
from fame_lab.traffic.trace.dataset import dataset
from fame_lab.traffic.trace.timeline import Timeline
from fame_lab.traffic.traffic import Traffic
from fame_lab.traffic.validation import check_sums

LAYOUT = CounterLayout(fam_size=1 << 20, book=1 << 18, vcpus=2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Counters.create(tmp_path / "node01.counters", LAYOUT)
    return tmp_path / "node01.counters"


@pytest.fixture
def counters(path: Path) -> Iterator[Counters]:
    opened = Counters(path, LAYOUT)
    yield opened
    opened.close()


def count(path: Path, at: int, tally: tuple[int, int, int, int]) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(np.array(tally, "<u8").tobytes())


def test_a_new_file_counts_nothing_and_takes_no_room(path: Path, counters: Counters) -> None:
    assert counters.books().tolist() == [(0, 0, 0, 0)] * 4
    assert len(counters.granules(64)[0]) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_blocks * 512 <= 8192


def test_what_two_vcpus_counted_is_added_up(path: Path, counters: Counters) -> None:
    for vcpu in range(2):
        start = LAYOUT.granules_at + vcpu * LAYOUT.stride
        count(path, start + 7 * TALLY.itemsize, (1, 2, 8, 16))
        count(path, start + (9 + vcpu) * TALLY.itemsize, (3, 0, 24, 0))
        count(path, LAYOUT.books_at + vcpu * LAYOUT.stride + TALLY.itemsize, (5, 6, 7, 8))
    numbers, tallies = counters.granules(4096)
    assert numbers.tolist() == [7, 9, 10]
    assert tallies.tolist() == [(2, 4, 16, 32), (3, 0, 24, 0), (3, 0, 24, 0)]
    assert counters.books().tolist()[:2] == [(0, 0, 0, 0), (10, 12, 14, 16)]


def test_clearing_leaves_the_header_and_the_size(path: Path, counters: Counters) -> None:
    counters.set(base=1 << 40, granule_shift=6, recording=1)
    count(path, LAYOUT.granules_at, (1, 1, 8, 8))
    counters.clear()
    assert len(counters.granules(64)[0]) == 0
    header = counters.header()
    assert (header["base"], header["granule_shift"], header["recording"]) == (1 << 40, 6, 1)
    assert path.stat().st_size == LAYOUT.size


def test_a_file_is_for_one_recording_until_it_is_closed(path: Path, counters: Counters) -> None:
    with pytest.raises(TrafficError, match="node01 is being recorded already"):
        Counters(path, LAYOUT)
    counters.close()
    Counters(path, LAYOUT).close()


def test_a_file_that_is_gone_can_be_read_on(path: Path, counters: Counters) -> None:
    count(path, LAYOUT.granules_at, (1, 1, 8, 8))
    path.unlink()
    assert counters.granules(4096)[1].tolist() == [(1, 1, 8, 8)]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrafficError, match=r"cannot open the counter file .*No such file"):
        Counters(tmp_path / "none", LAYOUT)


@pytest.mark.parametrize("size", [0, HEADER_SIZE - 1, HEADER_SIZE, LAYOUT.size - 1])
def test_a_short_file_is_an_error(path: Path, size: int) -> None:
    os.truncate(path, size)
    with pytest.raises(TrafficError, match="cut short"):
        Counters(path, LAYOUT)


def test_a_file_that_is_cut_while_it_is_read_is_an_error_and_no_crash(path: Path, counters: Counters) -> None:
    os.truncate(path, HEADER_SIZE)
    with pytest.raises(TrafficError, match="cut short"):
        counters.books()
    assert len(counters.granules(64)[0]) == 0


def test_a_file_of_another_version_is_an_error(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(8)
        file.write(b"\x63")
    with pytest.raises(TrafficError, match=r"is of version .*99"):
        Counters(path, LAYOUT)


def test_a_file_of_another_lab_is_an_error(path: Path) -> None:
    with pytest.raises(TrafficError, match="is another lab's"):
        Counters(path, CounterLayout(fam_size=1 << 20, book=1 << 12, vcpus=2))


def test_a_file_that_is_there_is_not_overwritten(path: Path) -> None:
    with pytest.raises(TrafficError, match="cannot make the counter file"):
        Counters.create(path, LAYOUT)


PLACES_OF_TALLIES = st.integers(HEADER_SIZE, LAYOUT.size - TALLY.itemsize)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(PLACES_OF_TALLIES, st.binary(min_size=1, max_size=96)), max_size=6))
def test_whatever_a_counter_file_holds_there_is_traffic_or_an_error(
    path: Path, counters: Counters, edits: list[tuple[int, bytes]]
) -> None:
    counters.clear()
    with path.open("r+b") as file:
        for at, content in edits:
            file.seek(at)
            file.write(content[: LAYOUT.size - at])
    spec = LabSpec("fuzz", nodes=1, fam=LAYOUT.fam_size, book=LAYOUT.book)
    for granule in (64, 4096):
        counts = dataset({"node01": counters.granules(granule)}, granule, LAYOUT.fam_size)
        try:
            check_sums(counts)
        except TrafficError:
            continue
        traffic = Traffic(
            counts=counts,
            timeline=Timeline(spec, {"node01": counters}, 1.0).dataset(),
            spec=spec.to_dict(),
            source="trace",
            window=(0, LAYOUT.fam_size - CONTROL_SIZE),
            manifest={},
            ended={},
        )
        traffic._repr_html_()
        assert int(traffic.matrix("bytes").sum()) >= 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 152), st.binary(min_size=1, max_size=16)), min_size=1, max_size=4))
def test_whatever_a_header_says_it_is_this_labs_or_an_error(
    path: Path, edits: list[tuple[int, bytes]]
) -> None:
    with path.open("r+b") as file:
        for at, content in edits:
            file.seek(at)
            file.write(content)
    try:
        opened = Counters(path, LAYOUT)
    except TrafficError as error:
        assert str(error).isprintable()
        return
    assert all(type(value) in (int, bytes) for value in opened.header().values())
    opened.close()


def test_counts_that_would_run_over_are_an_error(path: Path, counters: Counters) -> None:
    for vcpu in range(2):
        count(path, LAYOUT.granules_at + vcpu * LAYOUT.stride, (1 << 62, 0, 1 << 62, 0))
    with pytest.raises(TrafficError, match="more than any recording"):
        check_sums(dataset({"node01": counters.granules(64)}, 64, LAYOUT.fam_size))
