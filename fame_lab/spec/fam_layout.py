"""The layout of FAM: books, their homes, and the control area at the end.

FAM is a row of books, as in The Machine's Librarian. Each book is at home on one node, which would host it on
a real fabric. The last 64 KiB are the control area, which has no home. It serves to prove that nodes share
the FAM, to start probes together, and to prove a trace. All words in it are little-endian. Everything before
it, from offset 0, is the user's.

Control area, from its start::

    0x0000  a node's lines, 256 bytes each. The host writes to the first: nonce (u64) at +0, release (u64)
            at +64, question (u64) at +72. The node writes to the second: nonce (u64) at +128, progress (u64)
            at +192, answer (u64) at +200
    0x4000  pattern page, 4 KiB
    0x8000  barriers, 128 bytes each: arrived (u32) at +0, generation (u32) at +64
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fame_lab.core.sizes import KIB, MIB, format_size
from fame_lab.errors import SpecError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "BARRIERS",
    "BARRIER_SIZE",
    "CONTROL_SIZE",
    "MAX_BOOK",
    "MAX_NODES",
    "Books",
    "ControlArea",
    "auto_book",
]

MAX_NODES = 40
MAX_BOOK = 8 * MIB
CONTROL_SIZE = 64 * KIB
BARRIERS = 64
BARRIER_SIZE = 128

_NODE_STRIDE = 256
_RELEASE = 64
_QUESTION = 72
_NODE_TO_HOST = 128
_PROGRESS = 192
_ANSWER = 200
_PATTERN = 0x4000
_BARRIERS = 0x8000

Interleaving = Literal["contiguous", "interleaved"]


@dataclass(frozen=True)
class ControlArea:
    """The layout of the last 64 KiB of a FAM.

    Parameters
    ----------
    fam_size : int
        Size of the FAM in bytes. All offsets that the methods return are from the start of the FAM.
    """

    fam_size: int

    @property
    def offset(self) -> int:
        """The start of the control area."""
        return self.fam_size - CONTROL_SIZE

    def host_nonce(self, node: int) -> int:
        """Return the offset of the u64 that the host writes and node number `node`, from 0, reads."""
        return self.offset + _checked(node, MAX_NODES, "node") * _NODE_STRIDE

    def node_nonce(self, node: int) -> int:
        """Return the offset of the u64 that node number `node`, from 0, writes and the host reads."""
        return self.host_nonce(node) + _NODE_TO_HOST

    def release(self, node: int) -> int:
        """Return the offset of the u64 by which the host ends the wait of node number `node` for others."""
        return self.host_nonce(node) + _RELEASE

    def progress(self, node: int) -> int:
        """Return the offset of the u64 in which node number `node` reports a probe's progress."""
        return self.host_nonce(node) + _PROGRESS

    def question(self, node: int) -> int:
        """Return the offset of the u64 in which the host asks node number `node`, from 0, for its clock."""
        return self.host_nonce(node) + _QUESTION

    def answer(self, node: int) -> int:
        """Return the offset of the u64 in which node number `node` answers with its clock."""
        return self.host_nonce(node) + _ANSWER

    @property
    def pattern(self) -> int:
        """Offset of the 4 KiB page that proves a trace."""
        return self.offset + _PATTERN

    def barrier(self, number: int) -> int:
        """Return the offset of barrier `number`, from 0: :data:`BARRIER_SIZE` bytes, zero before its use."""
        return self.offset + _BARRIERS + _checked(number, BARRIERS, "barrier") * BARRIER_SIZE


def _checked(number: int, limit: int, what: str) -> int:
    if not 0 <= number < limit:
        raise SpecError(f"{what} number {number} is outside 0 to {limit - 1}")
    return number


@dataclass(frozen=True)
class Books:
    """The books of a FAM and the nodes at which they are at home.

    Parameters
    ----------
    fam_size, book, nodes : int
        Bytes of FAM, bytes of a book, number of nodes.
    interleaving : {"contiguous", "interleaved"}
        Book b of B is at home on node floor(b*N/B), or on node b mod N.

    Examples
    --------
    >>> books = Books(64 << 20, 8 << 20, 2, "contiguous")
    >>> books.count, [books.home(b * books.book) for b in range(books.count)]
    (8, [0, 0, 0, 0, 1, 1, 1, 1])
    """

    fam_size: int
    book: int
    nodes: int
    interleaving: Interleaving

    @property
    def count(self) -> int:
        """The number of books."""
        return self.fam_size // self.book

    def home(self, offset: int) -> int | None:
        """Return the number, from 0, of the node at which `offset` is at home; None in the control area.

        Raises
        ------
        SpecError
            If `offset` is outside FAM.
        """
        if not 0 <= offset < self.fam_size:
            raise SpecError(f"offset {offset:#x} is outside FAM, which ends at {self.fam_size:#x}")
        if offset >= ControlArea(self.fam_size).offset:
            return None
        return int(self._home(offset // self.book))

    def homes(self, offsets: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.intp]:
        """Return the numbers, from 0, of the nodes at which the bytes at `offsets` are at home.

        Parameters
        ----------
        offsets : ndarray of int
            Bytes from the start of FAM, of any shape.

        Returns
        -------
        ndarray of int, of the same shape

        Raises
        ------
        SpecError
            If one is outside FAM, or in the control area, which has no home.
        """
        if not offsets.size:
            return offsets.astype("intp")
        limit = ControlArea(self.fam_size).offset
        if not 0 <= (low := int(offsets.min())) <= (high := int(offsets.max())) < limit:
            wrong = low if low < 0 else high
            raise SpecError(f"offset {wrong:#x} has no home: what has one ends at {limit:#x}")
        homes: npt.NDArray[np.intp] = self._home(offsets.astype("intp") // self.book)
        return homes

    def _home(self, number: Any) -> Any:
        """Return the home of a book, or of each of an array of books."""
        if self.interleaving == "interleaved":
            return number % self.nodes
        return number * self.nodes // self.count

    def at_home(self, node: int) -> range:
        """Return the numbers of the books at home on node number `node`, the control area included.

        Examples
        --------
        >>> Books(64 << 20, 8 << 20, 2, "interleaved").at_home(1)
        range(1, 8, 2)
        """
        _checked(node, self.nodes, "node")
        if self.interleaving == "interleaved":
            return range(node, self.count, self.nodes)
        first, after = (-(-number * self.count // self.nodes) for number in (node, node + 1))
        return range(first, after)

    def __str__(self) -> str:
        return f"{self.count} books of {format_size(self.book)}, {self.interleaving} over {self.nodes} nodes"


def auto_book(fam_size: int, nodes: int) -> int:
    """Return the book size: 8 MiB, or the largest smaller power of two that gives every node one.

    Examples
    --------
    >>> auto_book(1 << 30, 4) >> 20, auto_book(1 << 20, 40) >> 10
    (8, 16)
    """
    book = min(MAX_BOOK, fam_size)
    while fam_size // book < nodes:
        book //= 2
    return book
