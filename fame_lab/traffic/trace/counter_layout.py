"""The layout of a counter file, as ``plugin/counters.h`` defines it in C."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fame_lab.spec.fam_layout import CONTROL_SIZE
from fame_lab.traffic.shared_file import HEADER_SIZE

__all__ = [
    "COUNTING_POSSIBLE",
    "DEFAULT_GRANULE",
    "FINEST_GRANULE",
    "MAGIC",
    "PLACES",
    "RESTING",
    "TALLY",
    "VERSION",
    "WANTED_AGAIN",
    "WANTED_ANEW",
    "CounterLayout",
    "Tallies",
]

#: As in plugin/counters.h.
VERSION = 3
MAGIC = b"FAMETRAC"
FINEST_GRANULE = 64
DEFAULT_GRANULE = 4096
#: States of the plugin: it sees all that QEMU translates, or nothing any more.
COUNTING_POSSIBLE = 2
RESTING = 3
#: Requests to the plugin: have all code translated anew, or reuse the code translated for it before.
WANTED_ANEW = 1
WANTED_AGAIN = 2
#: The counts of one book or granule.
TALLY = np.dtype([("loads", "<u8"), ("stores", "<u8"), ("load_bytes", "<u8"), ("store_bytes", "<u8")])
PLACES = {
    "magic": ("S8", 0),
    "version": ("<u4", 8),
    "vcpus": ("<u4", 12),
    "fam_size": ("<u8", 16),
    "books_at": ("<u8", 24),
    "granules_at": ("<u8", 32),
    "stride": ("<u8", 40),
    "book_shift": ("<u4", 48),
    "base": ("<u8", 64),
    "granule_shift": ("<u4", 72),
    "recording": ("<u4", 76),
    "wanted": ("<u4", 80),
    "instrument": ("<u4", 84),
    "short_cut": ("<u4", 88),
    "caching": ("<u4", 92),
    "timing": ("<u4", 96),
    "user_size": ("<u8", 56),
    "state": ("<u4", 128),
    "pid": ("<u4", 132),
    "fam_place": ("<u8", 136),
    "doubts": ("<u4", 144),
    "timed": ("<u8", 152),
    "timed_ns": ("<u8", 160),
}
_PAGE = 4096

Tallies = npt.NDArray[Any]


@dataclass(frozen=True)
class CounterLayout:
    """Offsets in a counter file.

    Parameters
    ----------
    fam_size, book : int
        Bytes.
    vcpus : int
        The number of vCPUs; each counts in a part of its own.
    """

    fam_size: int
    book: int
    vcpus: int

    @property
    def books(self) -> int:
        """The number of books."""
        return self.fam_size // self.book

    @property
    def books_at(self) -> int:
        """Offset of the first vCPU's tallies of books."""
        return HEADER_SIZE

    @property
    def granules_at(self) -> int:
        """Offset of the first vCPU's tallies of granules."""
        return self.books_at + _whole_pages(self.books * TALLY.itemsize)

    @property
    def stride(self) -> int:
        """Bytes from one vCPU's tallies to the next one's: they hold the finest granules."""
        granules = _whole_pages(self.fam_size // FINEST_GRANULE * TALLY.itemsize)
        return self.granules_at - self.books_at + granules

    def places(self) -> dict[str, int]:
        """Return the header's fields that describe this layout to the plugin."""
        return {
            "vcpus": self.vcpus,
            "fam_size": self.fam_size,
            "books_at": self.books_at,
            "granules_at": self.granules_at,
            "stride": self.stride,
            "user_size": self.fam_size - CONTROL_SIZE,
        }

    @property
    def size(self) -> int:
        """Bytes of the file, nearly all of them a hole."""
        return HEADER_SIZE + self.vcpus * self.stride


def _whole_pages(size: int) -> int:
    return -(-size // _PAGE) * _PAGE
