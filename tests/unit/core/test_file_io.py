import errno
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.core.file_io import read_at, read_into, write_at

MIB = 1 << 20


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


@given(st.binary(max_size=100), st.integers(1, 7), st.integers(0, 50), st.integers(0, 120))
def test_calls_that_move_less_than_asked_make_a_whole(content: bytes, most: int, at: int, size: int) -> None:
    """Linux does so from 2 GiB on."""
    pread, preadv, pwrite = os.pread, os.preadv, os.pwrite
    target = bytearray(size)
    descriptor = os.memfd_create("fame_lab-test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pread", lambda file, wanted, offset: pread(file, min(wanted, most), offset))
        patch.setattr(os, "preadv", lambda file, into, offset: preadv(file, [into[0][:most]], offset))
        patch.setattr(os, "pwrite", lambda file, data, offset: pwrite(file, data[:most], offset))
        write_at(descriptor, content, 0)
        read = read_at(descriptor, size, at)
        filled = read_into(descriptor, memoryview(target), at)
    os.close(descriptor)
    assert read == target[:filled] == content[at : at + size]


def test_a_read_ends_where_the_file_does(file: int) -> None:
    write_at(file, b"whole", 0)
    assert read_at(file, 100, 2) == b"ole"
    assert read_at(file, 100, 99) == b""
    assert read_into(file, memoryview(bytearray(100)), 2) == 3


def test_a_write_that_comes_to_a_limit_half_way_is_an_error(file: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as error:
            write_at(file, bytes(2 * MIB), 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert error.value.errno == errno.EFBIG


def test_nothing_is_written_of_nothing(file: int) -> None:
    write_at(file, b"", 1 << 40)
    assert os.fstat(file).st_size == 0
