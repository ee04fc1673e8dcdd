"""The file in which a node's QEMU counts its accesses: created and read here, filled by ``plugin/trace.c``.

It is read by ``pread`` and not mapped: the node's QEMU may cut it short, and a mapping would then kill this
process. What was never touched is a hole, which costs nothing to make, to keep or to read past.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fame_lab.core.file_io import read_at, write_at
from fame_lab.core.locking import lock
from fame_lab.errors import TrafficError
from fame_lab.traffic.sampling.extents import punch
from fame_lab.traffic.trace.counter_layout import (
    DEFAULT_GRANULE,
    HEADER,
    HEADER_SIZE,
    MAGIC,
    PLACES,
    TALLY,
    VERSION,
    CounterLayout,
    Tallies,
)

__all__ = ["Counters"]

_MAX_AT_ONCE = 1 << 22


class Counters:
    """One node's counters, opened: they can be read after the node, and the file's name, have gone.

    Nobody else can open them until they are closed, in whatever way this process ends.

    Parameters
    ----------
    path : Path
    layout : CounterLayout

    Raises
    ------
    TrafficError
        If the file is missing, short, or of another version or lab, or somebody else has it open.
    """

    def __init__(self, path: Path, layout: CounterLayout) -> None:
        self.path = path
        self.layout = layout
        try:
            self._file = os.fdopen(
                os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC), "r+b", buffering=0
            )
        except OSError as error:
            raise TrafficError(f"cannot open the counter file {path}: {error.strerror}") from error
        try:
            if not lock(self._file.fileno(), wait=False):
                raise TrafficError(f"{path.stem} is being recorded already", hint="stop that recording first")
            self._check()
        except TrafficError:
            self.close()
            raise

    @classmethod
    def create(cls, path: Path, layout: CounterLayout, owner: tuple[int, int] | None = None) -> None:
        """Make a file of mode 0600 with nothing counted, for `owner` (uid, gid) if given.

        Raises
        ------
        TrafficError
            If there is no room, or the file is there.
        """
        header = np.zeros(1, HEADER)
        header["magic"] = MAGIC
        header["version"] = VERSION
        header["book_shift"] = layout.book.bit_length() - 1
        header["granule_shift"] = DEFAULT_GRANULE.bit_length() - 1
        for name, value in layout.places().items():
            header[name] = value
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                os.ftruncate(descriptor, layout.size)
                file.write(header.tobytes())
                if owner is not None:
                    os.fchown(descriptor, *owner)
        except OSError as error:
            raise TrafficError(f"cannot make the counter file {path}: {error.strerror}") from error

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def is_replaced(self) -> bool:
        """Return whether the file has lost its name: its node counts in another now, or its lab is gone."""
        return os.fstat(self._file.fileno()).st_nlink == 0

    def header(self) -> dict[str, Any]:
        """Read the header, whatever it says."""
        found = np.frombuffer(self._read(0, HEADER_SIZE), HEADER)[0]
        return {name: found[name].item() for name in HEADER.names or ()}

    def set(self, **values: int) -> None:
        """Store words of the header that are the host's to say.

        Parameters
        ----------
        **values
            Of those that plugin/counters.h has in the host's line; stored in the order of the call.
        """
        for name, value in values.items():
            kind, offset = PLACES[name]
            write_at(self._file.fileno(), np.array(value, kind).tobytes(), offset)

    def clear(self) -> None:
        """Set every counter to 0, while nothing is recorded."""
        # Cutting it would kill a QEMU that has it mapped: so punch a hole.
        punch(self._file.fileno(), HEADER_SIZE, self.layout.size - HEADER_SIZE)

    def books(self) -> Tallies:
        """Read the counts by book.

        Returns
        -------
        ndarray of TALLY, shape (books,)
            Summed over vCPUs.
        """
        total = np.zeros(self.layout.books, TALLY)
        for vcpu in range(self.layout.vcpus):
            start = self.layout.books_at + vcpu * self.layout.stride
            _add(total, np.frombuffer(self._read(start, total.nbytes), TALLY))
        return total

    def granules(self, granule: int) -> tuple[npt.NDArray[np.int64], Tallies]:
        """Read the counts of the granules that were touched.

        Parameters
        ----------
        granule : int
            Bytes of one, as :meth:`set` said it.

        Returns
        -------
        numbers : ndarray of int64, shape (n,)
            Ascending.
        tallies : ndarray of TALLY, shape (n,)
            Summed over vCPUs.
        """
        length = self.layout.fam_size // granule * TALLY.itemsize
        found: list[tuple[npt.NDArray[np.int64], Tallies]] = []
        for vcpu in range(self.layout.vcpus):
            start = self.layout.granules_at + vcpu * self.layout.stride
            for offset, piece in _data(self._file.fileno(), start, start + length):
                part = np.frombuffer(self._read(offset, piece), TALLY)
                # The rest of an access that began in the granule before has bytes, and no count.
                touched = np.flatnonzero(part["load_bytes"] | part["store_bytes"])
                found.append((touched + (offset - start) // TALLY.itemsize, part[touched]))
        numbers = np.unique(np.concatenate([np.zeros(0, np.int64), *(each for each, _ in found)]))
        tallies = np.zeros(len(numbers), TALLY)
        for each, part in found:
            # Within one part no number is there twice, so indexing adds every one.
            _add(tallies, part, np.searchsorted(numbers, each))
        return numbers, tallies

    def _check(self) -> None:
        header = self.header()
        if (found := (header["magic"], header["version"])) != (MAGIC, VERSION):
            raise TrafficError(f"{self.path} is of version {found}, and not {(MAGIC, VERSION)}")
        wanted = self.layout.places()
        if (places := {name: header[name] for name in wanted}) != wanted:
            raise TrafficError(f"{self.path} is another lab's: it is laid out as {places}, and not {wanted}")
        if (size := os.fstat(self._file.fileno()).st_size) < self.layout.size:
            raise TrafficError(f"{self.path} has {size} bytes of {self.layout.size}: it was cut short")

    def _read(self, offset: int, length: int) -> bytes:
        found = read_at(self._file.fileno(), length, offset)
        if len(found) != length:
            raise TrafficError(f"{self.path} ends at {offset + len(found)}: it was cut short")
        return found


def _add(total: Tallies, part: Tallies, at: npt.NDArray[Any] | slice = slice(None)) -> None:
    for name in TALLY.names or ():
        total[name][at] += part[name]


def _data(descriptor: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Return (offset, length) of what is not a hole, whole tallies, in pieces of a bearable size."""
    at = start
    while at < end:
        try:
            at = os.lseek(descriptor, at, os.SEEK_DATA)
            hole = os.lseek(descriptor, at, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data from here on
                return
            raise
        while at < min(hole, end):
            length = min(min(hole, end) - at, _MAX_AT_ONCE)
            yield at, length
            at += length
