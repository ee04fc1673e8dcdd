"""The layout of a line directory, as ``plugin/directory.h`` defines it in C."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fame_lab.spec.fam_layout import CONTROL_SIZE, MAX_NODES
from fame_lab.traffic.shared_file import HEADER_SIZE
from fame_lab.traffic.transactions.cache import LINE

__all__ = [
    "CAUSES", "COUNTS", "FABRIC", "KINDS", "LOSS", "MAGIC", "PLACES", "RECORD",
    "TOTALS", "VERSION", "DirectoryLayout",
]  # fmt: skip

#: As in plugin/directory.h.
VERSION = 1
MAGIC = b"FAMELINE"
#: Kinds of transactions, and causes of misses, in the order of their counters.
KINDS = ("fill", "fill_ownership", "forward", "write_back", "upgrade", "invalidate", "atomic")
CAUSES = ("cold", "capacity", "coherence")
#: The counts of one book or granule.
COUNTS = np.dtype([(name, "<u8") for name in (*KINDS, *CAUSES)])
#: Who holds a line, its state and last taker, and the bytes that the taker stored.
RECORD = np.dtype([("holders", "<u8"), ("bytes", "<u8")])
#: What a node lost of one line.
LOSS = np.dtype(
    [
        ("takers", "<u8"),
        ("own_bytes", "<u8"),
        ("taken_bytes", "<u8"),
        ("false_sharing", "<u4"),
        ("sharing", "<u4"),
    ]
)
#: A node's totals.
TOTALS = np.dtype(
    [("invalidations", "<u8", MAX_NODES)]
    + [
        (name, "<u8")
        for name in ("evictions", "losses", "drops", "accesses", "waits", "asked_ns", "waited_ns", "late")
    ]
)
#: The figures of a fabric. Its links follow, which the plugin alone uses.
FABRIC = np.dtype(
    {
        "names": ["start_ns", "line_ps", "latency_ns"],
        "formats": ["<u8", "<u8", ("<u4", (MAX_NODES, MAX_NODES))],
        "offsets": [0, 8, 64],
        "itemsize": 64 + 4 * MAX_NODES * MAX_NODES,
    }
)
PLACES = {
    "magic": ("S8", 0),
    "version": ("<u4", 8),
    "nodes": ("<u4", 12),
    "user_size": ("<u8", 16),
    "lines_at": ("<u8", 24),
    "nodes_at": ("<u8", 32),
    "stride": ("<u8", 40),
    "books_at": ("<u8", 48),
    "granules_at": ("<u8", 56),
    "losses_at": ("<u8", 64),
    "pasts_at": ("<u8", 72),
    "ways_at": ("<u8", 80),
    "book_shift": ("<u4", 88),
    "interleaved": ("<u4", 92),
    "sets": ("<u8", 96),
    "ways": ("<u4", 104),
    "granule_shift": ("<u4", 108),
    "hardware": ("<u4", 112),
    "memory_atomics": ("<u4", 116),
    "alive": ("<u8", 120),
    "fabric_at": ("<u8", 128),
    "books": ("<u8", 136),
    "waits": ("<u4", 144),
}
_PAGE = 4096
#: Of a way: its line, the bytes loaded and stored, and when it was used.
_WAY_SIZE = 32


@dataclass(frozen=True)
class DirectoryLayout:
    """Offsets in a line directory.

    Parameters
    ----------
    fam_size, book : int
        Bytes.
    nodes : int
    interleaved : bool
        Whether neighbouring books are at home on neighbouring nodes.
    """

    fam_size: int
    book: int
    nodes: int
    interleaved: bool = False

    @property
    def user_size(self) -> int:
        """Bytes of FAM before its control area."""
        return self.fam_size - CONTROL_SIZE

    @property
    def lines(self) -> int:
        """The number of lines that have a record."""
        return self.user_size // LINE

    @property
    def books(self) -> int:
        """The number of books."""
        return self.fam_size // self.book

    @property
    def lines_at(self) -> int:
        """Offset of the first record; the fabric's figures and links come before."""
        return HEADER_SIZE + _whole_pages(FABRIC.itemsize + 2 * MAX_NODES * LINE)

    @property
    def nodes_at(self) -> int:
        """Offset of the first node's part."""
        return self.lines_at + _whole_pages(self.lines * RECORD.itemsize)

    @property
    def books_at(self) -> int:
        """Offset of the counts by book in a node's part; a page of totals comes before."""
        return _PAGE

    @property
    def granules_at(self) -> int:
        """Offset of the counts by granule in a node's part."""
        return self.books_at + _whole_pages(self.books * COUNTS.itemsize)

    @property
    def losses_at(self) -> int:
        """Offset of the losses by line in a node's part."""
        return self.granules_at + _whole_pages(self.lines * COUNTS.itemsize)

    @property
    def pasts_at(self) -> int:
        """Offset in a node's part of how it parted with each line."""
        return self.losses_at + _whole_pages(self.lines * LOSS.itemsize)

    @property
    def ways_at(self) -> int:
        """Offset of the cache in a node's part."""
        return self.pasts_at + _whole_pages(self.lines)

    @property
    def stride(self) -> int:
        """Bytes from one node's part to the next one's: the largest cache is as large as FAM."""
        return self.ways_at + _whole_pages(self.fam_size // LINE * _WAY_SIZE)

    @property
    def size(self) -> int:
        """Bytes of the file, nearly all of them a hole."""
        return self.nodes_at + self.nodes * self.stride

    def places(self) -> dict[str, int]:
        """Return the header's fields that describe this layout to the plugin."""
        return {
            "nodes": self.nodes,
            "user_size": self.user_size,
            "lines_at": self.lines_at,
            "nodes_at": self.nodes_at,
            "stride": self.stride,
            "books_at": self.books_at,
            "granules_at": self.granules_at,
            "losses_at": self.losses_at,
            "pasts_at": self.pasts_at,
            "ways_at": self.ways_at,
            "book_shift": self.book.bit_length() - 1,
            "interleaved": int(self.interleaved),
            "fabric_at": HEADER_SIZE,
            "books": self.books,
        }

    def node_at(self, node: int) -> int:
        """Return the offset of the part of node number `node`, from 0."""
        return self.nodes_at + node * self.stride


def _whole_pages(size: int) -> int:
    return -(-size // _PAGE) * _PAGE
