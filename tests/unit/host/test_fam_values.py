"""What Fam.read, Fam.write and Fam.array take."""

import array
import ctypes
import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis.extra import numpy as arrays

from fame_lab.core.lab_directory import SHM
from fame_lab.errors import HostError, SpecError
from fame_lab.host.fam import Fam
from fame_lab.spec.fam_layout import CONTROL_SIZE

MIB = 1 << 20
GIB = 1 << 30
#: pytest cannot name a test by it.
HUGE = pytest.param(10**5000, id="huge")


@pytest.fixture(scope="module")
def fam(tmp_path_factory: pytest.TempPathFactory) -> Fam:
    return Fam.create(tmp_path_factory.mktemp("fam") / "fam", MIB)


def test_all_of_a_fam_of_two_gib_is_read_at_once() -> None:
    with tempfile.TemporaryDirectory(dir=SHM) as directory:
        large = Fam.create(Path(directory) / "fam", 2 * GIB)
        large.write(2 * GIB - 4, b"last", control=True)
        content = large.read(0, large.size)
    assert len(content) == 2 * GIB
    assert content[-4:] == b"last"


def test_two_gib_and_more_are_stored_at_once(tmp_path: Path) -> None:
    large = Fam.create(tmp_path / "fam", 4 * GIB)
    content = np.zeros(GIB // 4 + 1, "u8")  # which takes no room
    content[-1] = 7
    large.write(64, content)
    assert large.array("u8", 64, content.size)[-1] == 7
    assert large.path.stat().st_size == large.size


def test_more_than_this_hosts_memory_is_refused_with_what_to_do(tmp_path: Path) -> None:
    try:
        huge = Fam.create(tmp_path / "fam", 8 << 40)
    except HostError:
        pytest.skip("the file system holds no file so large")
    with pytest.raises(HostError, match=r"array\(\)"):
        huge.read(0, huge.size)


@pytest.mark.parametrize(
    ("content", "stored"),
    [
        (np.arange(1, 3, dtype="u8"), bytes([1, *bytes(7), 2, *bytes(7)])),
        (np.arange(1, 3, dtype=">u2"), b"\0\1\0\2"),
        (np.array([[1, 2], [3, 4]], "u1", order="F"), b"\1\2\3\4"),
        (np.arange(6, dtype="u1")[::2], b"\0\2\4"),
        (np.arange(6, dtype="u1")[::-1], b"\5\4\3\2\1\0"),
        (np.array(5, "<u4"), b"\5\0\0\0"),
        (np.uint16(5), b"\5\0"),
        (np.array([3], "<M8[s]"), b"\3\0\0\0\0\0\0\0"),
        (np.array([(1, 2)], [("a", "u1"), ("b", "<u2")]), b"\1\2\0"),
        (np.array([b"ab", b"c"]), b"abc\0"),
        (np.broadcast_to(np.uint8(7), 3), b"\7\7\7"),
        (np.array([True, False]), b"\1\0"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcd")[::2], b"ac"),
        (np.arange(1, 3, dtype="<u4").data, b"\1\0\0\0\2\0\0\0"),
        (array.array("H", [1]), b"\1\0"),
        ((ctypes.c_uint32 * 1)(5), b"\5\0\0\0"),
        (b"", b""),
        (np.zeros((0, 3)), b""),
    ],
)  # fmt: skip
def test_all_bytes_of_a_buffer_are_stored_and_no_more(fam: Fam, content: Any, stored: bytes) -> None:
    fam.write(0, b"\xee" * 64)
    fam.write(8, content)
    assert fam.read(0, 64) == (b"\xee" * 8 + stored).ljust(64, b"\xee")


@given(arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(max_side=4)))
def test_whatever_an_array_holds_is_stored_as_it_lies_in_memory(fam: Fam, content: Any) -> None:
    fam.write(0, content.T)
    assert fam.read(0, content.nbytes) == content.T.tobytes()


@pytest.mark.parametrize(
    "content",
    [np.array([None]), np.array(["a", object()], "O"), [1, 2], "text", 5, None, xr.DataArray([1]), {}],
)
def test_what_is_no_plain_bytes_is_refused_by_its_type(fam: Fam, content: Any) -> None:
    with pytest.raises(SpecError, match=r"(content|dtype) is"):
        fam.write(0, content)


@pytest.mark.parametrize(
    ("offset", "content"),
    [
        (MIB - 16, np.arange(8, dtype="f8")),
        (MIB - 16, np.arange(3, dtype="u8")),
        (MIB, b"x"),
        (MIB + 1, b""),
        (-1, b"x"),
        (-8, np.zeros(1)),
        (1 << 70, b"x"),
        (0, np.zeros(MIB // 8 + 1)),
    ],
)
def test_what_ends_behind_fam_is_refused_before_a_byte_is_stored(fam: Fam, offset: int, content: Any) -> None:
    before = fam.read(0, MIB)
    with pytest.raises(SpecError, match="outside FAM"):
        fam.write(offset, content)
    assert fam.read(0, MIB) == before
    assert fam.path.stat().st_size == MIB


@pytest.mark.parametrize("kind", [np.int64, np.uint64, np.uint8, np.array])
def test_offsets_and_sizes_may_be_numpys(fam: Fam, kind: Any) -> None:
    fam.write(kind(16), b"12345678")
    assert fam.read(kind(16), kind(8)) == b"12345678"
    assert fam.array("u1", kind(16), kind(8)).tobytes() == b"12345678"


@pytest.mark.parametrize("wrong", [True, 8.0, "8", None, [8], float("nan"), np.float64(8), HUGE])
def test_what_is_no_whole_number_of_bytes_is_refused_in_short(fam: Fam, wrong: Any) -> None:
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (fam.read, (wrong, 8)),
        (fam.read, (0, wrong)),
        (fam.write, (wrong, b"x")),
    ]
    for call, arguments in [*calls, (fam.array, ("u1", wrong))]:
        with pytest.raises(SpecError) as error:
            call(*arguments)
        assert len(str(error.value)) < 300


@pytest.mark.parametrize("dtype", ["nonsense", "O", "V0", [("a", "O")], "(2,", 5, {"names": 3}])
def test_a_dtype_that_cannot_lie_in_fam_is_refused(fam: Fam, dtype: Any) -> None:
    with pytest.raises(SpecError, match="dtype is"):
        fam.array(dtype)


def test_nothing_is_read_of_nothing(fam: Fam) -> None:
    assert fam.read(0, 0) == fam.read(MIB, 0) == b""


def test_who_stores_into_the_control_area_is_warned(fam: Fam, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        fam.write(MIB - CONTROL_SIZE - 8, np.zeros(1))
        fam.write(MIB - CONTROL_SIZE, b"")
        fam.write(MIB - CONTROL_SIZE, bytes(8), control=True)
        assert not caplog.records
        fam.write(0, bytes(MIB))
    assert "control area" in caplog.text
