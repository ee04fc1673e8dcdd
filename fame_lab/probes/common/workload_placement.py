"""The placement of a workload's data: at the node that uses them, at another, or over all."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fame_lab.core.sizes import KIB, format_size
from fame_lab.errors import ProbeError, SpecError
from fame_lab.host.fam import Fam
from fame_lab.spec.fam_layout import Books, ControlArea

__all__ = ["PLACEMENTS", "Placement", "StripedRange"]

PLACEMENTS = ("own", "remote", "interleaved")

_PAGE = 4 * KIB

#: The most stripes of a page. Beyond these, stripes are larger: a guest keeps a mapping for each.
_STRIPES = 1024


@dataclass(frozen=True)
class StripedRange:
    """Bytes of FAM, used as one array, in stripes that go round homes.

    Parameters
    ----------
    books : Books
    homes : tuple of int
        Node numbers, from 0: stripe s is at home on ``homes[s % len(homes)]``.
    size, start, stripe : int
        Bytes of the array; bytes of each home, from its first book on, that are left out before it; bytes
        of a stripe.
    """

    books: Books
    homes: tuple[int, ...]
    size: int
    start: int
    stripe: int

    @property
    def stripes(self) -> int:
        """How many stripes there are; the last may be used in part."""
        return -(-self.size // self.stripe)

    @property
    def end(self) -> int:
        """Bytes of each home, from its first book on, after which it takes none."""
        return self.start + -(-self.stripes // len(self.homes)) * self.stripe

    def offset(self, stripe: int) -> int:
        """Where in FAM a stripe, by its number from 0, begins."""
        books = self.books.at_home(self.homes[stripe % len(self.homes)])
        into = self.start + stripe // len(self.homes) * self.stripe
        return books[into // self.books.book] * self.books.book + into % self.books.book

    def words(self, which: str) -> list[str]:
        """Return the probe program's options for its ``"private"`` or its ``"shared"`` memory."""
        firsts = (self.books.at_home(home).start * self.books.book for home in self.homes)
        shape = f"{self.size},{self.start},{self.stripe}"
        return [f"--{which}", shape, f"--{which}-homes", ",".join(map(str, firsts))]

    def read(self, fam: Fam) -> npt.NDArray[np.uint64]:
        """Copy what it holds, as words."""
        data = b"".join(fam.read(self.offset(stripe), self.stripe) for stripe in range(self.stripes))
        return np.frombuffer(data[: self.size], "<u8")


@dataclass
class Placement:
    """Finds room for the data of the nodes that take part, from each home's first book on.

    Parameters
    ----------
    books : Books
    how : {"own", "remote", "interleaved"}
        For a node's own data: at home on the node; on the next one, in the lab's order and round its end;
        stripe by stripe on all of them. For data that the nodes share: on the first that takes part; on
        the first that takes no part, or the last that does if all do; on all.
    nodes : list of int
        Numbers of those that take part, from 0.

    Raises
    ------
    ProbeError
        If there is no other node for "remote".
    """

    books: Books
    how: str
    nodes: list[int]
    _ends: dict[int, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.how == "remote" and self.books.nodes < 2:
            raise ProbeError("placement 'remote' takes 2 nodes or more, and the lab has one")

    def private(self, node: int, size: int) -> StripedRange:
        """Find room for a node's own data.

        Raises
        ------
        SpecError
            If its home has not that much left before the control area.
        """
        return self._take(size, own=node, remote=(node + 1) % self.books.nodes)

    def shared(self, size: int) -> StripedRange:
        """Find room for data that all nodes share; raises as :meth:`private` does."""
        idle = [node for node in range(self.books.nodes) if node not in self.nodes]
        return self._take(size, own=self.nodes[0], remote=[*idle, self.nodes[-1]][0])

    def program_words(self) -> list[str]:
        """Return the probe program's options for the books."""
        return ["--book", str(self.books.book), "--every", str(self.books.at_home(0).step)]

    def _take(self, size: int, *, own: int, remote: int) -> StripedRange:
        everywhere = list(range(self.books.nodes))
        homes = {"own": [own], "remote": [remote], "interleaved": everywhere}[self.how]
        stripe = _PAGE
        while stripe < self.books.book and -(-size // stripe) > _STRIPES:
            stripe *= 2
        start = max(self._ends.get(home, 0) for home in homes)
        spread = StripedRange(self.books, tuple(homes), size, -(-start // stripe) * stripe, stripe)
        for home in homes:
            if spread.end > (room := self._room(home)):
                raise SpecError(
                    f"{format_size(size)} of data do not fit: they take bytes {spread.start} to {spread.end} "
                    f"of those at home on node number {home}, of which {room} are the user's",
                    hint="give a smaller size, or fewer nodes",
                )
            self._ends[home] = spread.end
        return spread

    def _room(self, home: int) -> int:
        """Bytes of a home, from its first book on, that lie before the control area."""
        whole, rest = divmod(ControlArea(self.books.fam_size).offset, self.books.book)
        books = self.books.at_home(home)
        before = range(books.start, min(books.stop, whole), books.step)
        return len(before) * self.books.book + (rest if whole in books else 0)
