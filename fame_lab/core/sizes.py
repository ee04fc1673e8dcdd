"""Sizes in bytes, written as people write them: ``"256M"``. Suffixes are binary."""

from __future__ import annotations

import re

from fame_lab.core.numeric import whole
from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError

__all__ = ["KIB", "MIB", "format_size", "nearest_powers", "parse_size"]

KIB = 1 << 10
MIB = 1 << 20
#: Bytes that a file can have at most, on Linux.
MAX_FILE_SIZE = (1 << 63) - 1

_SUFFIXES = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_PATTERN = re.compile(r"([0-9]{1,20})\s*([KMGT]?)(?:iB)?", re.IGNORECASE | re.ASCII)


def parse_size(value: int | str, field: str = "size") -> int:
    """Read a size in bytes.

    Parameters
    ----------
    value : int or str
        Bytes, numpy's too, or a whole number with one of the binary suffixes K, M, G, T.
    field : str
        The size's name in a message.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    SpecError
        If it is neither.

    Examples
    --------
    >>> parse_size("256M"), parse_size("4 GiB"), parse_size(4096)
    (268435456, 4294967296, 4096)
    """
    if (size := whole(value)) is None:
        match = _PATTERN.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise SpecError(
                f"{field} is {quoted(value)}",
                hint='give whole bytes, or a whole number with K, M, G or T, such as "256M"',
            )
        size = int(match[1]) << _SUFFIXES[match[2].upper()]
    if abs(size) > MAX_FILE_SIZE:
        raise SpecError(f"{field} is {quoted(value)}: no file has more than {MAX_FILE_SIZE} bytes")
    return size


def format_size(size: int) -> str:
    """Write a size with the largest binary suffix that leaves it whole.

    Examples
    --------
    >>> format_size(1 << 28), format_size(1536), format_size(100)
    ('256M', '1536', '100')
    >>> format_size(3 << 10)
    '3K'
    """
    for suffix in ("T", "G", "M", "K"):
        unit = 1 << _SUFFIXES[suffix]
        if size and size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)


def nearest_powers(size: int) -> tuple[int, int]:
    """Return the powers of two around a positive size: the largest not above it, the smallest not below it.

    Examples
    --------
    >>> nearest_powers(384), nearest_powers(256)
    ((256, 512), (256, 256))
    """
    below = 1 << (size.bit_length() - 1)
    return below, below if below == size else below << 1
