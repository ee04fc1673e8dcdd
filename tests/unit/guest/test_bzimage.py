import gzip
import lzma
import struct

import lz4.block  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.guest.images import bzimage as vmlinux


def elf(note: int = 18) -> bytes:
    """Make an ELF file with one program header: a note of Xen's."""
    body = struct.pack("<III4sI", 4, 4, note, b"Xen\0", 0x1000000)
    header = b"\x7fELF\x02\x01".ljust(0x20, b"\0") + struct.pack("<Q", 64)
    header = header.ljust(0x36, b"\0") + struct.pack("<HH", 56, 1)
    program = struct.pack("<IIQQQQQQ", 4, 0, 120, 0, 0, len(body), len(body), 4)
    return header.ljust(64, b"\0") + program + body + b"text" * 1000


def lz4_legacy(data: bytes) -> bytes:
    out = b"\x02\x21\x4c\x18"
    for start in range(0, len(data), 8 << 20):
        block = lz4.block.compress(data[start : start + (8 << 20)], store_size=False)
        out += struct.pack("<I", len(block)) + block
    return out


def bzimage(payload: bytes) -> bytes:
    header = bytearray(512 * 3)
    header[0x1F1] = 2
    header[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", header, 0x206, 0x20F)
    struct.pack_into("<II", header, 0x248, 100, len(payload))
    return bytes(header) + bytes(100) + payload + b"rest"


def size(data: bytes) -> bytes:
    return struct.pack("<I", len(data))


@pytest.mark.parametrize(
    "payload",
    [
        lz4_legacy(elf()) + size(elf()),
        gzip.compress(elf()),
        lzma.compress(elf()) + size(elf()),
        zstandard.compress(elf()) + size(elf()),
        lz4_legacy(elf() + bytes(9 << 20)) + size(elf() + bytes(9 << 20)),
    ],
    ids=["lz4", "gzip", "xz", "zstd", "two blocks"],
)
def test_the_kernel_comes_out_whole(payload: bytes) -> None:
    assert (vmlinux.uncompressed(bzimage(payload)) or b"").rstrip(b"\0") == elf().rstrip(b"\0")


@pytest.mark.parametrize(
    "image",
    [
        b"",
        bytes(4096),
        bzimage(b"\x28\xb5\x2f\xfd zstd"),
        bzimage(lz4_legacy(elf()) + size(b"shorter")),
        bzimage(lz4_legacy(elf())[:-9] + size(elf())),
        bzimage(gzip.compress(elf(note=17))),
        bzimage(gzip.compress(b"no ELF")),
    ],
    ids=["empty", "no header", "no zstd", "wrong size", "cut short", "no PVH entry", "no ELF"],
)
def test_an_image_that_cannot_be_started_uncompressed_stays_as_it_is(image: bytes) -> None:
    assert vmlinux.uncompressed(image) is None


@given(st.binary(max_size=300))
def test_a_payload_of_any_bytes_is_no_crash(payload: bytes) -> None:
    vmlinux.uncompressed(bzimage(b"\x02\x21\x4c\x18" + payload))


@given(st.binary(max_size=300))
def test_a_gzip_payload_of_any_bytes_is_no_crash(payload: bytes) -> None:
    vmlinux.uncompressed(bzimage(b"\x1f\x8b\x08" + payload))


@given(st.binary(max_size=300))
def test_a_zstd_payload_of_any_bytes_is_no_crash(payload: bytes) -> None:
    vmlinux.uncompressed(bzimage(b"\x28\xb5\x2f\xfd" + payload))


@given(st.binary(max_size=200), st.integers(0, 1 << 63), st.integers(0, 9), st.integers(0, 99))
def test_an_elf_file_of_any_bytes_is_no_crash(rest: bytes, headers: int, size: int, count: int) -> None:
    head = b"\x7fELF\x02\x01".ljust(0x20, b"\0") + struct.pack("<Q", headers)
    head = head.ljust(0x36, b"\0") + struct.pack("<HH", size, count)
    vmlinux.uncompressed(bzimage(gzip.compress(head + rest)))
    vmlinux.uncompressed(bzimage(gzip.compress(b"\x7fELF\x02\x01" + rest)))
