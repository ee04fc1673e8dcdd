"""A line directory is what a hostile QEMU may have written: it is read rightly, or refused."""

import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from fabric_engine import FabricEngine, c_sizes
from hypothesis import given, settings
from hypothesis import strategies as st

from fame_lab.core.file_io import write_at
from fame_lab.errors import TrafficError
from fame_lab.spec.fam_layout import MAX_NODES
from fame_lab.traffic.shared_file import HEADER_SIZE
from fame_lab.traffic.transactions.cache import Cache
from fame_lab.traffic.transactions.dataset import caches_dataset
from fame_lab.traffic.transactions.directory import LineDirectory
from fame_lab.traffic.transactions.layout import (
    COUNTS,
    FABRIC,
    LOSS,
    PLACES,
    RECORD,
    TOTALS,
    DirectoryLayout,
)

KIB, GIB = 1 << 10, 1 << 30
LAYOUT = DirectoryLayout(1 << 20, 64 * KIB, 3)
NAMES = ("node01", "node02", "node03")
#: 16 sets of 4 ways.
CACHE = Cache("4K", ways=4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    LineDirectory.create(tmp_path / "lines", LAYOUT)
    return tmp_path / "lines"


@pytest.fixture
def directory(path: Path) -> Iterator[LineDirectory]:
    opened = LineDirectory(path, LAYOUT)
    opened.begin(CACHE, 64)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


def write(path: Path, content: bytes, offset: int) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        write_at(descriptor, content, offset)
    finally:
        os.close(descriptor)


def set_field(path: Path, name: str, value: int | bytes) -> None:
    kind, offset = PLACES[name]
    write(path, np.array(value, kind).tobytes(), offset)


def put_way(path: Path, node: int, number: int, line: int, *, way: int = 0, stored: int = 1) -> None:
    """Put a line into a way of the set of that number."""
    at = LAYOUT.node_at(node) + LAYOUT.ways_at + number * CACHE.ways * 32
    for field, value in ((0, line + 1), (2, stored)):
        write(path, value.to_bytes(8, "little"), at + (field * CACHE.ways + way) * 8)


def put_record(path: Path, line: int, word: int) -> None:
    write(path, word.to_bytes(8, "little"), LAYOUT.lines_at + line * RECORD.itemsize)


def read_all(directory: LineDirectory, cache: Cache = CACHE) -> None:
    for node in range(directory.layout.nodes):
        directory.books(node)
        directory.granules(node, 64)
        directory.losses(node)
        directory.totals(node)
        directory.held(node, cache)
    caches_dataset(directory, cache, NAMES, {2})


def test_a_new_directory_is_its_owners_alone_and_takes_next_to_no_room(path: Path) -> None:
    status = path.stat()
    assert status.st_mode & 0o777 == 0o600
    assert status.st_size == LAYOUT.size
    assert status.st_blocks * 512 <= HEADER_SIZE


def test_in_a_new_directory_nobody_holds_or_lost_a_line(directory: LineDirectory) -> None:
    caches = caches_dataset(directory, CACHE, NAMES, ())
    assert all(not caches[name].values.any() for name in caches.data_vars)
    assert caches.sizes["loss"] == 0


def test_one_that_is_there_is_not_created_again(path: Path) -> None:
    with pytest.raises(TrafficError, match=r"cannot make the line directory .*File exists"):
        LineDirectory.create(path, LAYOUT)


def test_it_is_not_created_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TrafficError, match="cannot make the line directory"):
        LineDirectory.create(tmp_path / "link", LAYOUT)
    assert not (tmp_path / "elsewhere").exists()


def test_one_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrafficError, match=r"cannot open the line directory .*No such file"):
        LineDirectory(tmp_path / "lines", LAYOUT)


def test_a_link_to_one_is_not_followed(path: Path) -> None:
    (path.parent / "link").symlink_to(path)
    with pytest.raises(TrafficError, match="cannot open the line directory"):
        LineDirectory(path.parent / "link", LAYOUT)


@pytest.mark.parametrize("size", [0, 8, HEADER_SIZE - 1])
def test_one_without_a_whole_header_is_an_error(path: Path, size: int) -> None:
    os.truncate(path, size)
    with pytest.raises(TrafficError, match=f"ends at {size}: it was cut short"):
        LineDirectory(path, LAYOUT)


@pytest.mark.parametrize("size", [HEADER_SIZE, LAYOUT.size - 1])
def test_one_that_is_shorter_than_its_layout_is_an_error(path: Path, size: int) -> None:
    os.truncate(path, size)
    with pytest.raises(TrafficError, match=f"has {size} bytes of {LAYOUT.size}: it was cut short"):
        LineDirectory(path, LAYOUT)


@pytest.mark.parametrize(("field", "value"), [("version", 2), ("version", 0), ("magic", b"FAMETRAC")])
def test_one_of_another_version_is_an_error(path: Path, field: str, value: int | bytes) -> None:
    set_field(path, field, value)
    with pytest.raises(TrafficError, match="is of version"):
        LineDirectory(path, LAYOUT)


@pytest.mark.parametrize(
    "other",
    [
        DirectoryLayout(2 << 20, 64 * KIB, 3),
        DirectoryLayout(1 << 20, 128 * KIB, 3),
        DirectoryLayout(1 << 20, 64 * KIB, 2),
    ],
)
def test_one_of_another_lab_is_an_error(path: Path, other: DirectoryLayout) -> None:
    with pytest.raises(TrafficError, match="is another lab's"):
        LineDirectory(path, other)


@pytest.mark.parametrize("field", sorted(LAYOUT.places()))
def test_a_header_that_says_another_place_is_an_error(path: Path, field: str) -> None:
    set_field(path, field, LAYOUT.places()[field] + 64)
    with pytest.raises(TrafficError, match="is another lab's"):
        LineDirectory(path, LAYOUT)


def test_an_open_directory_does_not_heed_what_its_header_says_later(
    path: Path, directory: LineDirectory
) -> None:
    put_way(path, 0, 5, 21)
    put_record(path, 21, 1 | 3 << 40)
    write(path, b"\xff" * HEADER_SIZE, 0)
    assert directory.held(0, CACHE).lines.tolist() == [21]


IMPOSSIBLE = {
    "an owner without a holder": 3 << 40,
    "sharers without a holder": 1 << 40,
    "a holder without a state": 1,
    "two owners that changed it": 3 | 3 << 40,
    "two that have it exclusively": 5 | 2 << 40,
    "a holder that the lab does not have": 8 | 3 << 40,
    "a holder beyond all nodes": 1 << 39 | 1 << 40,
    "a taker that the lab does not have": 1 | 3 << 40 | 3 << 42,
    "bits beyond the taker": 1 | 3 << 40 | 1 << 48,
    "the highest bit": 1 | 3 << 40 | 1 << 63,
    "all bits": (1 << 64) - 1,
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_a_record_that_cannot_be_is_an_error_with_its_offset(
    path: Path, directory: LineDirectory, what: str
) -> None:
    put_way(path, 1, 5, 37)
    put_record(path, 37, IMPOSSIBLE[what])
    with pytest.raises(TrafficError, match=rf"record of the line at {37 * 64:#x} cannot be"):
        directory.held(1, CACHE)


@pytest.mark.parametrize("word", [0, 1 | 1 << 40, 7 | 1 << 40, 4 | 2 << 40, 2 | 3 << 40 | 2 << 42])
def test_a_record_that_can_be_is_read(path: Path, directory: LineDirectory, word: int) -> None:
    put_way(path, 1, 5, 37)
    put_record(path, 37, word)
    held = directory.held(1, CACHE)
    assert held.records["holders"].tolist() == [word]
    assert held.held(1).tolist() == [bool(word & 2)]
    assert held.modified.tolist() == [word >> 40 & 3 == 3]


@pytest.mark.parametrize("line", [38, 36, LAYOUT.lines + 5, (1 << 64) - 2])
def test_a_line_in_another_set_or_outside_fam_is_an_error(
    path: Path, directory: LineDirectory, line: int
) -> None:
    put_way(path, 1, 5, line)
    with pytest.raises(TrafficError, match="node 2's cache has a line that cannot be in it"):
        directory.held(1, CACHE)


def test_a_loss_that_was_not_noticed_is_counted_to_the_node_that_took_the_line(
    path: Path, directory: LineDirectory
) -> None:
    put_way(path, 1, 5, 37, stored=0xF)
    put_record(path, 37, 1 | 3 << 40 | 2 << 42)
    caches = caches_dataset(directory, CACHE, NAMES, ())
    assert caches["losses"].values.tolist() == [0, 1, 0]
    assert caches["resident"].values.tolist() == [0, 0, 0]
    assert caches["loss_line"].values.tolist() == [37 * 64]
    assert caches["takers"].values.tolist() == [1 << 2]


def test_a_total_that_nobody_can_have_counted_is_an_error(path: Path, directory: LineDirectory) -> None:
    write(path, b"\xff" * 8, LAYOUT.node_at(1) + MAX_NODES * 8)
    with pytest.raises(TrafficError, match="a total of node 2 is more than can be counted"):
        caches_dataset(directory, CACHE, NAMES, ())


READS: dict[str, Callable[[LineDirectory], object]] = {
    "books": lambda directory: directory.books(1),
    "granules": lambda directory: directory.granules(1, 64),
    "losses": lambda directory: directory.losses(1),
    "totals": lambda directory: directory.totals(1),
    "held": lambda directory: directory.held(1, CACHE),
    "caches_dataset": lambda directory: caches_dataset(directory, CACHE, NAMES, ()),
}


@pytest.mark.parametrize("size", [0, HEADER_SIZE, LAYOUT.node_at(1)])
@pytest.mark.parametrize("name", READS)
def test_a_file_that_is_cut_short_meanwhile_is_an_error(
    path: Path, directory: LineDirectory, name: str, size: int
) -> None:
    os.truncate(path, size)
    with pytest.raises(TrafficError, match="cut short"):
        READS[name](directory)


def test_losses_that_were_cut_off_are_an_error_and_not_none(path: Path, directory: LineDirectory) -> None:
    write(path, np.ones(1, LOSS).tobytes(), LAYOUT.node_at(2) + LAYOUT.losses_at)
    os.truncate(path, LAYOUT.node_at(2) + LAYOUT.losses_at)
    with pytest.raises(TrafficError, match="cut short"):
        directory.losses(2)


PARTS = {
    "header": (0, HEADER_SIZE),
    "records": (LAYOUT.lines_at, 8192),
    "totals": (LAYOUT.node_at(1), TOTALS.itemsize),
    "books": (LAYOUT.node_at(1) + LAYOUT.books_at, 4096),
    "granules": (LAYOUT.node_at(1) + LAYOUT.granules_at, 4096),
    "losses": (LAYOUT.node_at(1) + LAYOUT.losses_at, 4096),
    "ways": (LAYOUT.node_at(1) + LAYOUT.ways_at, 4096),
    "all": (0, LAYOUT.size),
}


@settings(max_examples=150, deadline=None)
@given(
    part=st.sampled_from(sorted(PARTS)),
    seed=st.integers(0, 1 << 32),
    dense=st.booleans(),
    lines=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 63), st.integers(0, 3)), max_size=4),
)
def test_whatever_bytes_a_qemu_wrote_it_is_read_or_it_is_a_traffic_error(
    scratch: Path, part: str, seed: int, dense: bool, lines: list[tuple[int, int, int]]
) -> None:
    path = scratch / "random"
    path.unlink(missing_ok=True)
    LineDirectory.create(path, LAYOUT)
    random = np.random.default_rng(seed)
    directory = LineDirectory(path, LAYOUT)
    directory.begin(CACHE, 64)
    try:
        for node, line, way in lines:  # held as it should be, but for what follows
            put_way(path, node, line % CACHE.sets, line, way=way, stored=int(random.integers(1 << 62)))
        start, length = PARTS[part]
        count = min(length, 4096) if dense else 24
        for at in [start] if dense else random.integers(start, start + length - count + 1, 8):
            write(path, random.bytes(count), int(at))
        try:
            read_all(directory)
        except TrafficError as error:
            assert str(path) in str(error)
    finally:
        directory.close()


def test_clear_frees_the_room_of_all_that_was_counted(tmp_path: Path) -> None:
    engine = FabricEngine(tmp_path / "lines", LAYOUT, CACHE)
    engine.run([(node, 64 * line, 8, "store") for line in range(2000) for node in range(3)])
    assert engine.directory.path.stat().st_blocks * 512 > 1 << 18
    engine.directory.clear()
    assert engine.directory.path.stat().st_blocks * 512 <= HEADER_SIZE
    assert engine.directory.path.stat().st_size == LAYOUT.size
    assert not engine.counts()


def test_a_node_that_is_released_takes_part_no_more(directory: LineDirectory) -> None:
    directory.release(1)
    directory.release(1)
    assert directory.header()["alive"] == 0b101


def test_the_layout_in_c_is_that_in_python() -> None:
    sizes = [kind.itemsize for kind in (COUNTS, RECORD, LOSS, TOTALS, FABRIC)]
    assert c_sizes() == [*sizes, *(offset for _, offset in PLACES.values())]


LAYOUTS = [
    LAYOUT,
    DirectoryLayout(1 << 20, 16 * KIB, MAX_NODES),
    DirectoryLayout(192 << 20, 8 << 20, 3),
    DirectoryLayout(512 * GIB, 8 << 20, MAX_NODES),
    DirectoryLayout(512 * GIB, 1 << 30, 1),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts_of_a_directory_do_not_overlap(layout: DirectoryLayout) -> None:
    lines, places = layout.lines, layout.places()
    assert places["lines_at"] >= HEADER_SIZE
    assert places["lines_at"] + lines * RECORD.itemsize <= layout.nodes_at
    ends = [
        (0, TOTALS.itemsize),
        (places["books_at"], layout.books * COUNTS.itemsize),
        (places["granules_at"], lines * COUNTS.itemsize),
        (places["losses_at"], lines * LOSS.itemsize),
        (places["pasts_at"], lines),
        (places["ways_at"], layout.fam_size // 64 * 32),  # the largest cache
        (layout.stride, 0),
    ]
    for (start, length), (after, _) in pairwise(ends):
        assert start % 4096 == 0
        assert start + length <= after
    assert layout.node_at(layout.nodes) == layout.size
    assert 1 << places["book_shift"] == layout.book


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_directory_can_be_mapped(layout: DirectoryLayout) -> None:
    assert layout.size < 1 << 47
