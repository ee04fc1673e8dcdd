"""The least memory that a kernel and its initramfs come up with, computed from their sizes.

It was measured on Linux 6.1 and 6.12 under QEMU 7.2, with initramfs of 14 to 46 MiB, compressed or not, and 1
and 16 CPUs. The computed size is at most 6 MiB more than the least that came up, and never less.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import lz4.block  # type: ignore[import-untyped]
import zstandard

from fame_lab.core.sizes import MIB
from fame_lab.errors import HostError

__all__ = ["kernel_size", "least_memory", "unpacked_size"]

#: Linux needs as much besides, until /init runs: for its tables, page descriptors, drivers.
_BESIDES = 20 * MIB
#: Each CPU but the first takes as much: for its stacks, and its share of every cache.
_CPU = MIB
#: Nobody has more. Data that claims to unpack to more is not read to its end.
_MAX_BYTES = 64 << 30
_PAGE = 4096
_CHUNK = MIB

_PT_LOAD = 1
#: In the header of an archive, as `cpio --format=newc` writes it.
_ARCHIVES = (b"070701", b"070702")
_HEADER = 110
_READERS: Mapping[bytes, Callable[[io.BytesIO], io.BufferedIOBase | zstandard.ZstdDecompressionReader]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"\xfd7zXZ": lzma.LZMAFile,
    b"\x5d\0\0": lzma.LZMAFile,
    b"BZh": bz2.BZ2File,
    b"\x28\xb5\x2f\xfd": lambda file: zstandard.ZstdDecompressor().stream_reader(
        file, read_across_frames=True
    ),
}
_LZ4_LEGACY = b"\x02\x21\x4c\x18"
_LZ4_BLOCK = 8 << 20
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    zstandard.ZstdError,
    lz4.block.LZ4BlockError,
)


def least_memory(kernel: Path, initrd: Path, vcpus: int, more: int = 0) -> int:
    """Return the bytes of memory, in whole MiB, that a node needs to come up with these.

    Linux keeps the initramfs as it was loaded until it has unpacked it. The file system that it unpacks to
    takes half of the memory that is free by then.

    Parameters
    ----------
    kernel, initrd : Path
    vcpus : int
    more : int
        Bytes of files that are appended to the initramfs.

    Returns
    -------
    int
        A file of an unknown format counts as little as it can: nothing that would come up is refused.

    Raises
    ------
    HostError
        If a file cannot be read.
    """
    try:
        packed, kernel_in_memory = initrd.read_bytes(), kernel_size(kernel)
    except OSError as error:
        raise HostError(
            f"{error.filename} cannot be read ({error.strerror}), and nodes boot it",
            hint="remove the image (`fame-lab image rm`), which has it made anew, or give another one",
        ) from error
    unpacked = unpacked_size(packed) + more
    at_most_half = max(2 * unpacked, unpacked + _BESIDES)
    least = kernel_in_memory + len(packed) + more + at_most_half + (vcpus - 1) * _CPU
    return -(-least // MIB) * MIB


def kernel_size(path: Path) -> int:
    """Return the bytes that an ELF or bzImage kernel takes in memory; of another file its size."""
    with path.open("rb") as file:
        head = file.read(64 * 1024)
    try:
        if head[:6] == b"\x7fELF\x02\x01":
            return _elf_size(head)
        # Documentation/arch/x86/boot.rst: init_size, from protocol 2.10 on.
        if head[0x202:0x206] == b"HdrS" and struct.unpack_from("<H", head, 0x206)[0] >= 0x20A:
            return int(struct.unpack_from("<I", head, 0x260)[0])
    except struct.error:
        pass  # it ends in the middle of its header: QEMU says so
    return path.stat().st_size


def _elf_size(head: bytes) -> int:
    (headers,) = struct.unpack_from("<Q", head, 0x20)
    size, count = struct.unpack_from("<HH", head, 0x36)
    spans = []
    for header in range(headers, headers + size * count, size):
        kind, _, _, _, address, _, length = struct.unpack_from("<IIQQQQQ", head, header)
        if kind == _PT_LOAD:
            spans.append((address, address + length))
    return max((end for _, end in spans), default=0) - min((start for start, _ in spans), default=0)


def unpacked_size(data: bytes) -> int:
    """Return the bytes that an initramfs takes when Linux has unpacked it, in whole pages a file.

    It is one archive or several, the last of which may be compressed. Data that cannot be read counts as
    it is.
    """
    total = at = 0
    while at < len(data):
        if data[at] == 0:  # between archives
            at += 1
        elif data.startswith(_ARCHIVES, at):
            size, at = _archive_size(data, at)
            total += size
        else:
            return total + _stream_size(data[at:])
    return total


def _archive_size(data: bytes, at: int) -> tuple[int, int]:
    """Return the size of an archive's files, and where it ends."""
    total = 0
    while data.startswith(_ARCHIVES, at):
        try:
            mode, size, name_size = (int(data[at + start : at + start + 8], 16) for start in (14, 54, 94))
        except ValueError:
            return total, len(data)
        name = data[at + _HEADER : at + _HEADER + name_size - 1]
        at += _aligned(_HEADER + name_size) + _aligned(size)
        if name == b"TRAILER!!!":
            return total, at
        if stat.S_ISREG(mode):  # a link's target is in its inode
            total += -(-size // _PAGE) * _PAGE
    return total, max(at, len(data))


def _aligned(size: int) -> int:
    return -(-size // 4) * 4


def _stream_size(data: bytes) -> int:
    total = 0
    try:
        for size in _pieces(data):
            total += size
            if total > _MAX_BYTES:
                break
    except _UNREADABLE:
        pass  # the readable part counts
    return max(total, len(data))


def _pieces(data: bytes) -> Iterator[int]:
    """Yield the sizes of the pieces that compressed data unpacks to."""
    if data.startswith(_LZ4_LEGACY):
        yield from _lz4_pieces(data)
    for magic, unpacking in _READERS.items():
        if data.startswith(magic):
            reader = unpacking(io.BytesIO(data))
            while piece := reader.read(_CHUNK):
                yield len(piece)


def _lz4_pieces(data: bytes) -> Iterator[int]:
    at = len(_LZ4_LEGACY)
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        yield len(lz4.block.decompress(data[at + 4 : at + 4 + length], uncompressed_size=_LZ4_BLOCK))
        at += 4 + length
