import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.errors import TrafficError
from fame_lab.host.fam import Fam
from fame_lab.traffic.sampling import soft_dirty as module
from fame_lab.traffic.sampling.soft_dirty import (
    DirtyPages,
    MemoryMapping,
    dirty_pages,
    mappings,
    soft_dirty,
    soft_dirty_works,
)

MIB = 1 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")
BIT = 1 << 55
PRESENT = 63


@pytest.fixture
def fam(tmp_path: Path) -> Fam:
    return Fam.create(tmp_path / "fam", 64 * MIB)


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_bit_55_says_that_a_page_was_stored_to(entries: list[int]) -> None:
    bits = soft_dirty(np.array(entries, "u8").tobytes())
    assert bits.tolist() == [bool(entry & BIT) for entry in entries]


def test_a_file_is_found_by_its_device_and_inode_however_it_is_called() -> None:
    maps = """\
55d0c1a00000-55d0c1b00000 r-xp 00000000 08:01 77                         /usr/bin/qemu
7f0000000000-7f0000400000 rw-s 00000000 00:19 77                         /dev/shm/a b (deleted)
7f0000400000-7f0000800000 rw-s 00400000 00:19 77                         /elsewhere
7f0000800000-7f0000c00000 r--s 00000000 00:19 77                         /dev/shm/read-only
7f0000c00000-7f0001000000 rw-p 00000000 00:19 77                         /dev/shm/private
7f0001000000-7f0001400000 rw-s 00000000 00:19 78                         /dev/shm/other
7f0001400000-7f0001800000 rw-p 00000000 00:00 0 
7ffe00000000-7ffe00021000 rw-p 00000000 00:00 0                          [stack]
no line of maps
"""  # noqa: W291 - as the kernel writes it
    assert mappings(maps, (os.makedev(0, 0x19), 77)) == [
        MemoryMapping(0x7F0000000000, 0, 4 * MIB),
        MemoryMapping(0x7F0000400000, 4 * MIB, 4 * MIB),
    ]


class Process:
    """The files of a process that has FAM mapped, made up."""

    pid = 4242
    address = 0x10000000

    def __init__(self, proc: Path, fam: Fam) -> None:
        self.place = proc / str(self.pid)
        self.place.mkdir(parents=True)
        device, inode = fam.identity
        file = f"{os.major(device):02x}:{os.minor(device):02x} {inode} {fam.path}"
        # In two parts, the second half of FAM first.
        half = fam.size // 2
        lines = [
            f"{start:x}-{start + half:x} rw-s {offset:08x} {file}"
            for start, offset in ((self.address, half), (self.address + 2 * half, 0))
        ]
        self.half = half
        (self.place / "maps").write_text("\n".join(lines) + "\n")
        (self.place / "clear_refs").write_text("")
        (self.place / "pagemap").touch()
        os.truncate(self.place / "pagemap", (self.address + 4 * half) // PAGE * 8)

    def mark(self, *offsets: int) -> None:
        """Set the bits of pages of FAM."""
        descriptor = os.open(self.place / "pagemap", os.O_WRONLY)
        for offset in offsets:
            address = self.address + (offset - self.half if offset >= self.half else offset + 2 * self.half)
            os.pwrite(descriptor, np.array([BIT | 1 << PRESENT], "u8").tobytes(), address // PAGE * 8)
        os.close(descriptor)


@pytest.fixture
def process(tmp_path: Path, fam: Fam) -> Process:
    return Process(tmp_path / "proc", fam)


def test_pages_stored_to_are_told_by_their_offset_in_fam(fam: Fam, process: Process, tmp_path: Path) -> None:
    process.mark(0, 5 * PAGE, 31 * MIB, 32 * MIB, 50 * MIB + 3 * PAGE)
    with DirtyPages(process.pid, fam, proc=tmp_path / "proc") as pages:
        everything = pages.stored([(0, 64 * MIB)])
        assert everything.tolist() == [0, 5 * PAGE, 31 * MIB, 32 * MIB, 50 * MIB + 3 * PAGE]
        assert (process.place / "clear_refs").read_text() == "4"
        assert pages.stored([(4 * PAGE, 6 * PAGE), (32 * MIB, 33 * MIB)]).tolist() == [5 * PAGE, 32 * MIB]
        assert pages.stored([]).tolist() == []


def test_what_is_long_is_read_in_parts(
    fam: Fam, process: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_READ_BYTES", 2 * PAGE)
    process.mark(*range(0, 64 * PAGE, 3 * PAGE))
    with DirtyPages(process.pid, fam, proc=tmp_path / "proc") as pages:
        assert pages.stored([(0, 64 * PAGE)]).tolist() == list(range(0, 64 * PAGE, 3 * PAGE))


def test_beginning_anew_clears(fam: Fam, process: Process, tmp_path: Path) -> None:
    with DirtyPages(process.pid, fam, proc=tmp_path / "proc") as pages:
        pages.clear()
        assert (process.place / "clear_refs").read_text() == "4"


def test_a_process_that_ended_is_an_error(fam: Fam, process: Process, tmp_path: Path) -> None:
    with DirtyPages(process.pid, fam, proc=tmp_path / "proc") as pages:
        os.truncate(process.place / "pagemap", 0)  # as the kernel reads it then
        with pytest.raises(TrafficError, match=r"process 4242 .* ended"):
            pages.stored([(0, MIB)])


def test_a_process_that_is_not_there_is_an_error(fam: Fam, tmp_path: Path) -> None:
    with pytest.raises(TrafficError, match="cannot look into process 4242: No such file"):
        DirtyPages(4242, fam, proc=tmp_path / "proc")


def test_a_process_without_this_fam_is_an_error(fam: Fam, process: Process, tmp_path: Path) -> None:
    other = Fam.create(tmp_path / "other", MIB)
    with pytest.raises(TrafficError, match=r"no mapping of .*other"):
        DirtyPages(process.pid, other, proc=tmp_path / "proc")


def test_this_kernel_gives_the_entries_of_the_right_pages(fam: Fam) -> None:
    for page in (0, 700, 9000):
        fam.write(page * PAGE, b"x")
    view = fam.array("u1", writable=True)
    touched = [0, 9000 * PAGE]
    for offset in touched:
        view[offset] = 1
    with DirtyPages(os.getpid(), fam) as pages:
        present = [
            offset + PAGE * int(number)
            for offset, entries in pages.entries([(0, 40 * MIB)])
            for number in np.flatnonzero(np.frombuffer(entries, "u8") >> np.uint64(PRESENT))
        ]
    assert present == touched


def test_stores_of_this_process_are_told_if_and_only_if_the_kernel_can(fam: Fam) -> None:
    view = fam.array("u1", writable=True)
    view[5 * PAGE] = view[6 * PAGE] = 1
    with DirtyPages(os.getpid(), fam) as pages:
        pages.clear()
        view[6 * PAGE] = 1
        offsets = pages.stored([(0, MIB)]).tolist()
    assert offsets == ([6 * PAGE] if soft_dirty_works() else [])


def test_nobody_is_asked_where_the_kernel_cannot_tell(fam: Fam, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "soft_dirty_works", lambda: False)
    assert dirty_pages(fam, {"node01": 4242}) == {}


def test_each_node_is_asked_where_it_can(fam: Fam, monkeypatch: pytest.MonkeyPatch) -> None:
    view = fam.array("u1", writable=True)
    monkeypatch.setattr(module, "soft_dirty_works", lambda: True)
    by_node = dirty_pages(fam, {"node01": os.getpid()})
    assert {name: pages.pid for name, pages in by_node.items()} == {"node01": os.getpid()}
    for pages in by_node.values():
        pages.close()
    assert view.size == fam.size


def test_a_kernel_that_takes_the_4_and_keeps_no_bits_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_store_clear_store", lambda _: ([False, False], [False, False]))
    assert not soft_dirty_works()
    monkeypatch.setattr(module, "_store_clear_store", lambda _: ([True, True], [True, True]))
    assert not soft_dirty_works()
    monkeypatch.setattr(module, "_store_clear_store", lambda _: ([True, True], [False, True]))
    assert soft_dirty_works()
