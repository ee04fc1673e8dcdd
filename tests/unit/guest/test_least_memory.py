"""What memory a kernel and an initramfs are said to need, and that a node comes up with it."""

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import lz4.block  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from fame_lab import LabSpec
from fame_lab.core.sizes import MIB
from fame_lab.errors import SpecError
from fame_lab.guest.images import appliance, catalog, cpio
from fame_lab.guest.images.least_memory import kernel_size, least_memory, unpacked_size

FILES = cpio.archive(
    {"init": cpio.file(b"#!/bin/sh\n"), "big": cpio.file(b"x" * 100_000), "sh": cpio.symlink("/bin/busybox")}
)
#: In whole pages; a link takes none.
SIZE = 4096 + 102_400


def lz4_legacy(data: bytes) -> bytes:
    block = lz4.block.compress(data, store_size=False)
    return b"\x02\x21\x4c\x18" + struct.pack("<I", len(block)) + bytes(block)


def elf(*segments: tuple[int, int]) -> bytes:
    """Make the header of an ELF kernel with these segments: address and size in memory."""
    head = bytearray(64)
    head[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", head, 0x20, 64)
    struct.pack_into("<HH", head, 0x36, 56, len(segments))
    for address, size in segments:
        head += struct.pack("<IIQQQQQQ", 1, 0, 0, 0, address, 0, size, 0)
    return bytes(head)


def test_an_elf_kernel_takes_what_its_segments_span(tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(elf((16 * MIB, MIB), (40 * MIB, 10 * MIB)))
    assert kernel_size(tmp_path / "kernel") == 34 * MIB


def test_a_compressed_kernel_takes_what_its_header_says(tmp_path: Path) -> None:
    head = bytearray(1024)
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x206, 0x20F)
    struct.pack_into("<I", head, 0x260, 48 * MIB)
    (tmp_path / "kernel").write_bytes(head)
    assert kernel_size(tmp_path / "kernel") == 48 * MIB


@pytest.mark.parametrize("head", [b"", b"no kernel", b"\x7fELF\x02\x01", b"\0" * 0x202 + b"HdrS\x0f\x02"])
def test_a_kernel_of_an_unknown_form_takes_its_own_size(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(head)
    assert kernel_size(tmp_path / "kernel") == len(head)


@pytest.mark.parametrize("early", [b"", FILES, FILES + bytes(508)])
@pytest.mark.parametrize(
    "compress", [bytes, gzip.compress, lzma.compress, bz2.compress, zstandard.compress, lz4_legacy]
)
def test_an_initramfs_is_one_archive_or_several_the_last_compressed(
    early: bytes, compress: Callable[[bytes], bytes]
) -> None:
    expected = SIZE * bool(early) + (SIZE if compress is bytes else len(FILES))
    assert unpacked_size(early + compress(FILES)) == expected


@given(data=st.binary(max_size=600), cut=st.integers(0, len(FILES)))
def test_what_cannot_be_read_counts_at_most_as_it_is(data: bytes, cut: int) -> None:
    assert 0 <= unpacked_size(data) <= max(len(data), SIZE)
    assert 0 <= unpacked_size(gzip.compress(FILES)[:cut]) <= len(FILES)
    assert 0 <= unpacked_size(FILES[:cut] + data) <= SIZE + len(data)


def test_more_cpus_take_more_memory(tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(elf((MIB, 40 * MIB)))
    (tmp_path / "initrd").write_bytes(FILES)
    one, sixteen = (least_memory(tmp_path / "kernel", tmp_path / "initrd", vcpus) for vcpus in (1, 16))
    assert one < sixteen and one % MIB == 0


def test_what_is_exported_has_enough_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appliance.Appliance, "least_memory", lambda _self, _vcpus: 200 * MIB)
    with pytest.raises(SpecError, match="give memory='200M'"):
        LabSpec("exported", memory="128M").to_xml()
    with pytest.raises(SpecError, match="200M"):
        catalog.check_memory(appliance.ensure(), LabSpec("exported", memory="199M"))
