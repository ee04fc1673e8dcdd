"""The file in which a node's QEMU counts its accesses: created and read here, filled by ``plugin/trace.c``.

It is read by ``pread`` and not mapped: the node's QEMU may truncate it, and a mapping would then kill this
process. Counters of untouched granules are a hole, which costs nothing to create, to keep or to skip.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fame_lab.core.file_io import read_at, write_at
from fame_lab.core.lab_directory import SHM
from fame_lab.core.locking import lock
from fame_lab.core.sizes import format_size
from fame_lab.errors import TrafficError
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.traffic.sampling.extents import find_extents, punch
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

__all__ = ["Counters", "warn_of_room"]

log = logging.getLogger(__name__)

_MAX_AT_ONCE = 1 << 22


class Counters:
    """One node's open counters: they outlive the node, and the file's name.

    Nobody else can open them until they are closed, or this process ends, even by a kill.

    Parameters
    ----------
    path : Path
    layout : CounterLayout

    Raises
    ------
    TrafficError
        If the file is missing, short, or of another version or lab, or another recording has it open.
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
        """Create a file of mode 0600 with every counter 0, for `owner` (uid, gid) if given.

        Raises
        ------
        TrafficError
            If there is no room, or the file exists.
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
        """Return whether the file lost its name: its node counts in another now, or its lab is gone."""
        return os.fstat(self._file.fileno()).st_nlink == 0

    def header(self) -> dict[str, Any]:
        """Return the fields of the header, unchecked."""
        record = np.frombuffer(self._read(0, HEADER_SIZE), HEADER)[0]
        return {name: record[name].item() for name in HEADER.names or ()}

    def set(self, **values: int) -> None:
        """Store the host's fields of the header.

        Parameters
        ----------
        **values
            Fields in the host's line of plugin/counters.h; they are stored in the order of the call.
        """
        for name, value in values.items():
            kind, offset = PLACES[name]
            write_at(self._file.fileno(), np.array(value, kind).tobytes(), offset)

    def clear(self) -> None:
        """Set every counter to 0, while nothing is recorded."""
        # To truncate it would kill a QEMU that has it mapped: so punch a hole.
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
            Bytes of one, as given to :meth:`set`.

        Returns
        -------
        numbers : ndarray of int64, shape (n,)
            Ascending.
        tallies : ndarray of TALLY, shape (n,)
            Summed over vCPUs.
        """
        length = self.layout.fam_size // granule * TALLY.itemsize
        parts: list[tuple[npt.NDArray[np.int64], Tallies]] = []
        for vcpu in range(self.layout.vcpus):
            start = self.layout.granules_at + vcpu * self.layout.stride
            for begin, end in find_extents(self._file.fileno(), start, start + length):
                for offset in range(begin, end, _MAX_AT_ONCE):
                    part = np.frombuffer(self._read(offset, min(_MAX_AT_ONCE, end - offset)), TALLY)
                    # The rest of an access that began in the granule before has bytes, and no count.
                    touched = np.flatnonzero(part["load_bytes"] | part["store_bytes"])
                    parts.append((touched + (offset - start) // TALLY.itemsize, part[touched]))
        numbers = np.unique(np.concatenate([np.zeros(0, np.int64), *(each for each, _ in parts)]))
        tallies = np.zeros(len(numbers), TALLY)
        for each, part in parts:
            # Each number is in a part only once, so indexing adds every one.
            _add(tallies, part, np.searchsorted(numbers, each))
        return numbers, tallies

    def _check(self) -> None:
        header = self.header()
        if (identity := (header["magic"], header["version"])) != (MAGIC, VERSION):
            raise TrafficError(f"{self.path} is of version {identity}, and not {(MAGIC, VERSION)}")
        places = self.layout.places()
        if (others := {name: header[name] for name in places}) != places:
            raise TrafficError(f"{self.path} is another lab's: it is laid out as {others}, and not {places}")
        if (size := os.fstat(self._file.fileno()).st_size) < self.layout.size:
            raise TrafficError(f"{self.path} has {size} bytes of {self.layout.size}: it was cut short")

    def _read(self, offset: int, length: int) -> bytes:
        content = read_at(self._file.fileno(), length, offset)
        if len(content) != length:
            raise TrafficError(f"{self.path} ends at {offset + len(content)}: it was cut short")
        return content


def warn_of_room(spec: LabSpec, granule: int) -> None:
    """Warn if the counters of all nodes could fill their file system, which would kill the nodes."""
    place = os.statvfs(SHM)
    worst = spec.nodes * spec.vcpus * spec.fam_size // granule * TALLY.itemsize
    if worst > (free := place.f_bavail * place.f_frsize):
        log.warning(
            "if all of FAM is touched the counters take %s MiB, and /dev/shm has %s free: nodes die with "
            "SIGBUS when it is full; give a coarser granule than %s",
            worst >> 20, free >> 20, format_size(granule),
        )  # fmt: skip


def _add(total: Tallies, part: Tallies, at: npt.NDArray[Any] | slice = slice(None)) -> None:
    for name in TALLY.names or ():
        total[name][at] += part[name]
