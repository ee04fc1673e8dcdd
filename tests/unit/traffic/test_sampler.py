import ctypes
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame_lab.errors import SpecError, TrafficError
from fame_lab.host.fam import Fam
from fame_lab.spec.fam_layout import CONTROL_SIZE
from fame_lab.traffic.sampling import sampler as sampler_module
from fame_lab.traffic.sampling.sampler import Sampler

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
PAGE = 4 * KIB


@pytest.fixture(params=["tmpfs", "disk"])
def fam(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fam]:
    """On each kind of file system, sparse, with nothing in use before the control area."""
    if request.param == "disk":
        yield Fam.create(tmp_path / "fam", GIB)
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield Fam.create(Path(directory) / "fam", GIB)


def punch(fam: Fam, offset: int, size: int) -> None:
    """Make a hole, keeping the size."""
    with fam.open_file(writable=True) as file:
        keep_size_and_punch = 3
        punched = ctypes.CDLL(None, use_errno=True).fallocate(
            file.fileno(), keep_size_and_punch, ctypes.c_long(offset), ctypes.c_long(size)
        )
    assert punched == 0


def test_the_first_look_has_nothing_to_compare_with(fam: Fam) -> None:
    fam.write(0, b"before")
    with Sampler(fam) as sampler:
        assert sampler.look().tolist() == []
        assert sampler.look().tolist() == []


@pytest.mark.parametrize(
    ("granule", "expected"),
    [
        (64, [5 * MIB, 200 * MIB - 64, 200 * MIB]),
        (4096, [5 * MIB, 200 * MIB - 4096, 200 * MIB]),
        ("64K", [5 * MIB, 200 * MIB - 64 * KIB, 200 * MIB]),
        ("8M", [0, 192 * MIB, 200 * MIB]),
    ],
)
def test_a_write_between_two_looks_is_seen_at_its_granules(
    fam: Fam, granule: int | str, expected: list[int]
) -> None:
    with Sampler(fam, granule=granule) as sampler:
        sampler.look()
        fam.write(5 * MIB + 3, b"x")
        fam.write(200 * MIB - 1, b"two granules")
        assert sampler.look().tolist() == expected
        assert sampler.look().tolist() == []


def test_a_store_through_a_mapping_is_seen(fam: Fam) -> None:
    view = fam.array("u8", writable=True)
    with Sampler(fam, granule=64) as sampler:
        sampler.look()
        view[9] = 1
        assert sampler.look().tolist() == [64]
        view[8 * MIB] = 1
        assert sampler.look().tolist() == [64 * MIB]


def test_the_same_bytes_again_are_invisible(fam: Fam) -> None:
    fam.write(MIB, b"as before")
    with Sampler(fam) as sampler:
        sampler.look()
        fam.write(MIB, b"as before")
        assert sampler.look().tolist() == []


def test_a_value_that_was_overwritten_back_is_invisible(fam: Fam) -> None:
    fam.write(MIB, b"one")
    with Sampler(fam) as sampler:
        sampler.look()
        fam.write(MIB, b"two")
        fam.write(MIB, b"one")
        assert sampler.look().tolist() == []


def test_a_hole_filled_with_zeroes_has_not_changed(fam: Fam) -> None:
    with Sampler(fam) as sampler:
        sampler.look()
        fam.write(MIB, bytes(PAGE))
        fam.write(2 * MIB, bytes(PAGE - 1) + b"x")
        assert sampler.look().tolist() == [2 * MIB]


def test_a_hole_made_in_what_was_no_zero_is_a_change_and_forgotten(fam: Fam) -> None:
    fam.write(MIB, b"x" * MIB)
    fam.write(500 * MIB, b"x" * PAGE)
    fam.write(600 * MIB, bytes(PAGE))
    with Sampler(fam) as sampler:
        sampler.look()
        for offset in (MIB + 8 * PAGE, 500 * MIB, 600 * MIB):
            punch(fam, offset, PAGE)
        punch(fam, MIB + 512 * KIB, 64 * KIB)
        expected = [MIB + 8 * PAGE, *range(MIB + 512 * KIB, MIB + 576 * KIB, PAGE), 500 * MIB]
        assert sampler.look().tolist() == expected
        # One page amid data is too small a hole to be told apart.
        assert sampler.in_use == [(MIB, MIB + 512 * KIB), (MIB + 576 * KIB, 2 * MIB)]
        assert sampler.look().tolist() == []


def test_a_hole_made_while_as_much_is_filled_elsewhere_is_a_change(fam: Fam) -> None:
    fam.write(MIB, b"x" * PAGE)
    with Sampler(fam) as sampler:
        sampler.look()
        punch(fam, MIB, PAGE)
        fam.write(3 * MIB, b"x" * PAGE)
        assert sampler.look().tolist() == [MIB, 3 * MIB]


def settled_blocks(fam: Fam) -> int:
    """Return the room that the file takes on the disk: until it is there a file system changes its mind."""
    with fam.open_file(writable=True) as file:
        os.fsync(file.fileno())
    return fam.allocated()


def test_no_hole_is_filled(fam: Fam) -> None:
    for offset in (0, 3 * MIB + PAGE, 3 * MIB + 3 * PAGE, 900 * MIB):
        fam.write(offset, b"x")
    with Sampler(fam) as sampler:
        before = settled_blocks(fam)
        for _ in range(3):
            sampler.look()
        assert settled_blocks(fam) == before
        fam.write(700 * MIB, b"x")
        grown = settled_blocks(fam)
        assert sampler.look().tolist() == [700 * MIB]
        assert settled_blocks(fam) == grown > before


def test_only_what_is_in_use_is_read_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    real = os.preadv

    def counted(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        read.append(len(buffers[0]))
        return real(descriptor, buffers, offset)

    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        fam = Fam.create(Path(directory) / "fam", 256 * GIB)
        for number in range(256):
            fam.write(number * GIB + number * PAGE, b"x")
        monkeypatch.setattr(os, "preadv", counted)
        with Sampler(fam) as sampler:
            sampler.look()
            assert sum(read) == 256 * PAGE
            assert len(sampler.in_use) == 256


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (None, [0, 4 * MIB]),
        ((0, MIB), [0]),
        (("4M", "1M"), [4 * MIB]),
        ((MIB, GIB - CONTROL_SIZE - MIB), [4 * MIB]),
    ],
)
def test_a_window_bounds_what_is_looked_at(
    fam: Fam, window: tuple[int | str, int | str] | None, expected: list[int]
) -> None:
    with Sampler(fam, window=window) as sampler:
        sampler.look()
        for offset in (0, 4 * MIB, fam.control.offset):
            fam.write(offset, b"x")
        assert sampler.look().tolist() == expected


def test_a_window_of_lines_ends_at_its_line(fam: Fam) -> None:
    with Sampler(fam, window=(128, 192), granule=64) as sampler:
        sampler.look()
        fam.write(0, b"x" * PAGE)
        assert sampler.look().tolist() == [128, 192, 256]


@pytest.mark.parametrize(
    "window",
    [
        (-PAGE, PAGE), (0, 0), (0, -PAGE), (0, GIB), (GIB, PAGE), (GIB - CONTROL_SIZE, PAGE),
        (64, PAGE), (0, PAGE + 64), (0, "1Q"), (0,), 5, (0, 1.5),
    ],
)  # fmt: skip
def test_a_window_that_cannot_be_is_refused(tmp_path: Path, window: object) -> None:
    with pytest.raises(SpecError):
        Sampler(Fam.create(tmp_path / "fam", GIB), window=window)  # type: ignore[arg-type]


@pytest.mark.parametrize("granule", [0, 32, 96, -64, 4095, "16M", "many", 64.0, True])
def test_a_granule_that_cannot_be_is_refused(tmp_path: Path, granule: object) -> None:
    with pytest.raises(SpecError, match="granule"):
        Sampler(Fam.create(tmp_path / "fam", GIB), granule=granule)  # type: ignore[arg-type]


def test_a_granule_larger_than_fam_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="granule"):
        Sampler(Fam.create(tmp_path / "fam", MIB), granule="2M")


@pytest.mark.parametrize("size", [0, MIB, GIB // 2, 2 * GIB])
def test_a_file_truncated_between_looks_is_an_error(fam: Fam, size: int) -> None:
    fam.write(700 * MIB, b"x" * MIB)
    with Sampler(fam) as sampler:
        sampler.look()
        os.truncate(fam.path, size)
        with pytest.raises(TrafficError, match=f"truncated .* it ends at {size}"):
            sampler.look()


@pytest.mark.parametrize("call", ["preadv", "lseek"])
def test_a_file_truncated_during_a_look_is_an_error_and_no_crash(
    fam: Fam, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fam.write(0, b"x" * MIB)
    fam.write(700 * MIB, b"x" * MIB)
    real = getattr(os, call)

    def late(*arguments: object) -> object:
        os.truncate(fam.path, MIB // 2)
        return real(*arguments)

    with Sampler(fam) as sampler:
        sampler.look()
        monkeypatch.setattr(os, call, late)
        with pytest.raises(TrafficError, match="truncated"):
            sampler.look()


def test_a_closed_sampler_says_so(fam: Fam) -> None:
    sampler = Sampler(fam)
    sampler.close()
    with pytest.raises(TrafficError, match="closed"):
        sampler.look()


def test_on_hugetlbfs_a_window_must_be_named() -> None:
    descriptor = os.memfd_create("fam", os.MFD_CLOEXEC | os.MFD_HUGETLB)
    try:
        os.ftruncate(descriptor, 64 * MIB)
        fam = Fam.existing(Path(f"/proc/self/fd/{descriptor}"), 64 * MIB)
        with pytest.raises(SpecError, match="name a window"):
            Sampler(fam)
        with Sampler(fam, window=(0, "4M")) as sampler:
            assert sampler.look().tolist() == sampler.look().tolist() == []
            assert sampler.in_use == [(0, 4 * MIB)]
        assert fam.allocated() == 0
    finally:
        os.close(descriptor)


def test_where_holes_read_as_data_a_window_must_be_named(fam: Fam, monkeypatch: pytest.MonkeyPatch) -> None:
    def untold(descriptor: int, offset: int, whence: int) -> int:
        return {os.SEEK_DATA: offset, os.SEEK_HOLE: fam.size}[whence]

    monkeypatch.setattr(os, "lseek", untold)
    with pytest.raises(SpecError, match="name a window"):
        Sampler(fam)
    with Sampler(fam, window=(0, MIB)) as sampler:
        sampler.look()
        fam.write(5 * PAGE, b"x")
        assert sampler.look().tolist() == [5 * PAGE]


def test_a_file_in_use_to_its_end_needs_no_window(tmp_path: Path) -> None:
    (tmp_path / "fam").write_bytes(b"x" * MIB)
    fam = Fam.existing(tmp_path / "fam", MIB)
    with Sampler(fam) as sampler:
        sampler.look()
        fam.write(PAGE, b"y")
        assert sampler.look().tolist() == [PAGE]


PAGES = 64
WRITE = st.tuples(
    st.just("write"), st.integers(0, PAGES * PAGE - 1), st.integers(1, 3 * PAGE), st.sampled_from([0, 1, 2])
)
HOLE = st.tuples(st.just("hole"), st.integers(0, PAGES - 1), st.integers(1, 9), st.just(0))
LOOK = st.tuples(st.just("look"), st.just(0), st.just(0), st.just(0))


@settings(deadline=None, max_examples=300)
@given(st.lists(WRITE | HOLE | LOOK, max_size=40), st.sampled_from([64, 256, 4096, 16384]))
def test_looks_agree_with_a_comparison_of_whole_copies(
    steps: list[tuple[str, int, int, int]], granule: int
) -> None:
    size = PAGES * PAGE
    # Tiles and chunks so small that every border is crossed.
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        patch.setattr(sampler_module, "_TILE", 64 * KIB)
        patch.setattr(sampler_module, "_CHUNK", 16 * KIB)
        fam = Fam.create(Path(directory) / "fam", MIB)
        with Sampler(fam, window=(0, size), granule=granule) as sampler:
            sampler.look()
            last = np.zeros(size, "u1")
            for what, at, length, value in [*steps, ("look", 0, 0, 0)]:
                if what == "write":
                    fam.write(at, bytes([value]) * min(length, size - at))
                elif what == "hole":
                    punch(fam, at * PAGE, min(length, PAGES - at) * PAGE)
                else:
                    before = fam.allocated()
                    offsets = sampler.look().tolist()
                    assert fam.allocated() == before
                    now = np.frombuffer(fam.read(0, size), "u1")
                    differs = (now != last).reshape(-1, granule).any(axis=1)
                    assert offsets == (granule * np.flatnonzero(differs)).tolist()
                    last = now
