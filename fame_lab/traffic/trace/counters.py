"""The file in which a node's QEMU counts its accesses: read here, filled by ``plugin/access.c``."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fame_lab.core.lab_directory import SHM
from fame_lab.core.locking import lock
from fame_lab.core.sizes import format_size
from fame_lab.errors import TrafficError
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.traffic.sampling.extents import find_extents
from fame_lab.traffic.shared_file import SharedFile
from fame_lab.traffic.trace.counter_layout import (
    DEFAULT_GRANULE,
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


class Counters(SharedFile[CounterLayout]):
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

    NAME, MAGIC, VERSION, PLACES = "counter file", MAGIC, VERSION, PLACES

    def __init__(self, path: Path, layout: CounterLayout) -> None:
        super().__init__(path, layout)
        if not lock(self._file.fileno(), wait=False):
            self.close()
            raise TrafficError(f"{path.stem} is being recorded already", hint="stop that recording first")

    @classmethod
    def create(
        cls, path: Path, layout: CounterLayout, owner: tuple[int, int] | None = None, **fields: int
    ) -> None:
        """Create a file in which every counter is 0; see :meth:`SharedFile.create`."""
        shifts = {
            "book_shift": layout.book.bit_length() - 1,
            "granule_shift": DEFAULT_GRANULE.bit_length() - 1,
        }
        super().create(path, layout, owner, **shifts | fields)

    def is_replaced(self) -> bool:
        """Return whether the file lost its name: its node counts in another now, or its lab is gone."""
        return os.fstat(self._file.fileno()).st_nlink == 0

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
