"""The cache that each node is taken to have for lines of FAM.

FAM is cut into lines of 64 bytes. Each node has one private cache of them: write-back, write-allocate,
set-associative, indexed by the offset in FAM, empty when a recording starts. Memory of the node itself does
not compete for it. The vCPUs of a node share it. An access across lines is one access to each. The control
area is left out.

With ``coherence="hardware"`` a directory knows who holds which line. The protocol is MESI (Papamarcos and
Patel, ISCA 1984) with a full-map directory (Censier and Feautrier, IEEE ToC 1978):

=====================  ====================  ==========================================  ===============
access                 other nodes hold it   transactions                                afterwards
=====================  ====================  ==========================================  ===============
load, miss             none                  ``fill``                                    E
load, miss             S, or E               ``fill``                                    all S
load, miss             M                     ``forward``; ``write_back`` of the owner    both S
store, miss            none                  ``fill_ownership``                          M
store, miss            S, or E               ``fill_ownership``; ``invalidate`` each     M
store, miss            M                     ``forward``; ``invalidate``                 M
store, hit on S        S, or none            ``upgrade``; ``invalidate`` each            M
store, hit on E or M   none                  none                                        M
load, hit              any                   none                                        as it was
eviction of M          none                  ``write_back``                              not held
eviction of S or E     any                   none                                        not held
=====================  ====================  ==========================================  ===============

With ``coherence="software"`` no cache knows of another. Each miss is a ``fill``. A line that its node stored
to is written back when it is evicted. Flushes are not seen yet, so write-backs and fills that a program asks
for are missing from the counts.

Choices, where the table leaves one:

- A locked instruction is one access, a store that loads too: it asks for ownership at once, as on x86. Any
  other read-modify-write is a load, then a store, as QEMU issues it.
- A miss first compares all ways of its set with the directory. A way that lost its line is filled first, then
  the least recently used one. A hit compares only its own way.
- A miss is ``cold`` if the node never had the line, ``capacity`` if it evicted the line, and ``coherence`` if
  another node took the line, whichever came last.
- A loss is false sharing if the store that took the line from others last, before the loss was noticed,
  stored no byte that the node had accessed since it had the line.
- With ``atomics="memory"`` a locked instruction is an ``atomic`` at the line's home, and nobody holds the
  line afterwards. With hardware coherence a node that had changed the line writes it back, and each other
  holder's copy is invalidated. With software coherence the node's own copy alone is written back if it was
  stored to, and dropped. The miss that follows a drop is one of ``coherence``.
- A node that dies loses its lines, dirty ones without a write-back.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from fame_lab.core.numeric import check_whole
from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import MAX_FILE_SIZE, format_size, parse_size
from fame_lab.errors import SpecError

__all__ = ["ATOMICS", "COHERENCE", "LINE", "MAX_WAYS", "Cache"]

#: Bytes of a line.
LINE = 64
MAX_WAYS = 64
COHERENCE = ("hardware", "software")
ATOMICS = ("cached", "memory")


@dataclass(frozen=True)
class Cache:
    """The cache that each node is taken to have for FAM, by which a recording counts transactions.

    The rules are those of :mod:`fame_lab.traffic.transactions.cache`: a write-back cache of 64-byte lines,
    and MESI.

    Parameters
    ----------
    size : int or str
        Bytes of each node's cache. ``size / (64 * ways)``, the number of sets, is a power of two.
    ways : int
        Lines of a set, from 1 to 64.
    coherence : {"hardware", "software"}
        Whether a directory keeps the caches coherent, as CXL 3 could, or nothing does, as in The Machine.
    atomics : {"cached", "memory"}
        Whether a locked instruction works in the cache, or in the memory of the line's home.

    Raises
    ------
    SpecError
        If a field cannot be right.

    Examples
    --------
    >>> Cache("1M").sets
    1024
    >>> Cache("96K", ways=12, coherence="software").describe()
    '96K cache a node, 12 ways, LRU, software coherence'
    """

    size: int | str
    ways: int = 16
    coherence: str = "hardware"
    atomics: str = "cached"

    def __post_init__(self) -> None:
        ways = check_whole("ways", self.ways, 1, MAX_WAYS)
        size = parse_size(self.size, "size")
        sets, rest = divmod(size, LINE * ways)
        if rest or sets <= 0 or sets & (sets - 1):
            below = LINE * ways << max(0, max(sets, 1).bit_length() - 1)
            sizes = [format_size(each) for each in (below, 2 * below) if each <= MAX_FILE_SIZE]
            what = f"no multiple of {ways} ways of {LINE} bytes" if rest else f"{sets:,} sets of {ways} ways"
            raise SpecError(
                f"size is {quoted(self.size)}: {what}",
                hint=f"give {' or '.join(sizes)}; the number of sets is a power of two",
            )
        for name, choices in (("coherence", COHERENCE), ("atomics", ATOMICS)):
            if not isinstance(value := getattr(self, name), str) or value not in choices:
                raise SpecError(f"{name} is {quoted(value)}", hint=f"give {' or '.join(map(repr, choices))}")
        object.__setattr__(self, "size", size)  # the only way in a frozen dataclass's __post_init__
        object.__setattr__(self, "ways", ways)

    @property
    def sets(self) -> int:
        """The number of sets."""
        return int(self.size) // (LINE * self.ways)

    def check_fits(self, fam_size: int) -> None:
        """Check that the cache is no larger than FAM, by whose offsets it is indexed.

        Parameters
        ----------
        fam_size : int
            Bytes.

        Raises
        ------
        SpecError
            If it is larger.
        """
        if int(self.size) > fam_size:
            raise SpecError(
                f"cache is {format_size(int(self.size))}, larger than FAM",
                hint=f"FAM is {format_size(fam_size)}",
            )

    def describe(self) -> str:
        """Return the cache in words, for a figure."""
        atomics = ", atomics in memory" if self.atomics == "memory" else ""
        size = format_size(int(self.size))
        return (
            f"{size}{' B' * size.isdecimal()} cache a node, {self.ways} way{'s' * (self.ways > 1)}, LRU, "
            f"{self.coherence} coherence{atomics}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)
