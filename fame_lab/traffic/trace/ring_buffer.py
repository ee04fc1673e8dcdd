"""The ring through which a node's accesses come in their order: made and drained here.

``plugin/order.c`` fills it; ``plugin/order.h`` has the same layout. Like the counters it is read by
``pread``, so that a QEMU that truncates it cannot end this process.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fame_lab.core.file_io import read_at, write_at
from fame_lab.errors import TrafficError
from fame_lab.traffic.sampling.extents import punch

__all__ = ["ACCESS", "CAPACITY", "CONTINUED", "LOAD", "STORE", "AccessRing"]

#: Records of 24 bytes that a ring holds: a power of two.
CAPACITY = 1 << 19
LOAD, STORE, CONTINUED = 1, 2, 4
#: One access, or its part on another page.
ACCESS = np.dtype([("ns", "<u8"), ("offset", "<u8"), ("size", "<u4"), ("kind", "<u4")])

_MAGIC, _VERSION = b"FAMEORDR", 1
_HEADER_SIZE = 8192
_HEADER = np.dtype([("magic", "S8"), ("version", "<u4"), ("vcpus", "<u4"), ("capacity", "<u8")])
_WANTED = 24
_RINGS, _RING_STRIDE, _LOST, _DRAINED = 64, 128, 8, 64

Accesses = npt.NDArray[Any]


class AccessRing:
    """One node's open rings, one for each vCPU.

    Parameters
    ----------
    path : Path
    vcpus : int
    fam_size : int
        Bytes.

    Raises
    ------
    TrafficError
        If the file is missing, short or of another version.
    """

    def __init__(self, path: Path, vcpus: int, fam_size: int) -> None:
        self.path = path
        self.fam_size = fam_size
        self.vcpus = vcpus
        try:
            self._file = os.fdopen(
                os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC), "r+b", buffering=0
            )
        except OSError as error:
            raise TrafficError(
                f"cannot open {path}, through which accesses come: {error.strerror}"
            ) from error
        try:
            header = np.frombuffer(self._read(0, _HEADER.itemsize), _HEADER)[0]
            if header.tolist() != (_MAGIC, _VERSION, vcpus, CAPACITY):
                raise TrafficError(f"{path} is of another version or lab: it says {header}")
        except TrafficError:
            self.close()
            raise

    @classmethod
    def create(cls, path: Path, vcpus: int, owner: tuple[int, int] | None = None) -> None:
        """Create a file of mode 0600 with empty rings, for `owner` (uid, gid) if given.

        Raises
        ------
        TrafficError
            If there is no room, or the file exists.
        """
        header = np.array([(_MAGIC, _VERSION, vcpus, CAPACITY)], _HEADER)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                os.ftruncate(descriptor, _HEADER_SIZE + vcpus * CAPACITY * ACCESS.itemsize)
                file.write(header.tobytes())
                if owner is not None:
                    os.fchown(descriptor, *owner)
        except OSError as error:
            raise TrafficError(f"cannot make {path}: {error.strerror}") from error

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def give_back(self) -> None:
        """Free the room of drained accesses, once no more are wanted."""
        punch(self._file.fileno(), _HEADER_SIZE, self.vcpus * CAPACITY * ACCESS.itemsize)

    def want(self, enabled: bool) -> None:
        """Set whether the plugin writes accesses."""
        write_at(self._file.fileno(), int(enabled).to_bytes(4, "little"), _WANTED)

    def drain(self) -> list[Accesses]:
        """Take all accesses out of the rings.

        Returns
        -------
        list of ndarray of ACCESS
            One a vCPU, each in its order.
        """
        return [self._drain(vcpu) for vcpu in range(self.vcpus)]

    def discard(self) -> None:
        """Discard all accesses: those that came after :meth:`give_back` cannot be read."""
        for vcpu in range(self.vcpus):
            line = _RINGS + vcpu * _RING_STRIDE
            write_at(self._file.fileno(), self._read(line, 8), line + _DRAINED)

    def lost(self) -> int:
        """Return the number of accesses that found their ring full, since the node booted."""
        places = [_RINGS + vcpu * _RING_STRIDE + _LOST for vcpu in range(self.vcpus)]
        return sum(self._word(place) for place in places)

    def _drain(self, vcpu: int) -> Accesses:
        line = _RINGS + vcpu * _RING_STRIDE
        head, tail = self._word(line), self._word(line + _DRAINED)
        if not 0 <= head - tail <= CAPACITY:
            raise TrafficError(f"{self.path} says that {head} accesses were written and {tail} drained")
        parts = []
        for start, end in _pieces(tail, head):
            offset = _HEADER_SIZE + (vcpu * CAPACITY + start % CAPACITY) * ACCESS.itemsize
            parts.append(np.frombuffer(self._read(offset, (end - start) * ACCESS.itemsize), ACCESS))
        write_at(self._file.fileno(), head.to_bytes(8, "little"), line + _DRAINED)
        accesses = np.concatenate(parts) if parts else np.zeros(0, ACCESS)
        self._check(accesses)
        return accesses

    def _check(self, accesses: Accesses) -> None:
        """Raise TrafficError if one of them cannot be an access to FAM."""
        size = accesses["size"]
        inside = (accesses["offset"] < self.fam_size) & (size <= self.fam_size - accesses["offset"])
        plausible = (size > 0) & (accesses["kind"] > 0) & (accesses["kind"] <= LOAD | STORE | CONTINUED)
        if not (inside & plausible).all():
            first = accesses[~(inside & plausible)][0]
            raise TrafficError(f"{self.path} tells of an access that none can be: {first}")

    def _word(self, offset: int) -> int:
        return int.from_bytes(self._read(offset, 8), "little")

    def _read(self, offset: int, length: int) -> bytes:
        content = read_at(self._file.fileno(), length, offset)
        if len(content) != length:
            raise TrafficError(f"{self.path} ends at {offset + len(content)}: it was cut short")
        return content


def _pieces(start: int, end: int) -> list[tuple[int, int]]:
    """Cut a run of record numbers where the ring begins anew."""
    border = (start // CAPACITY + 1) * CAPACITY
    return [piece for piece in ((start, min(end, border)), (border, end)) if piece[0] < piece[1]]
