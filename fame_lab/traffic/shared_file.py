"""A file that QEMUs and this process change: a header of known fields, and what follows it, mostly a hole.

It is read by ``pread`` and not mapped: a node's QEMU may truncate it, and a mapping would then kill this
process. A hole costs nothing to create, to keep or to skip.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from fame_lab.core.file_io import read_at, write_at
from fame_lab.errors import TrafficError
from fame_lab.traffic.sampling.extents import punch

__all__ = ["HEADER_SIZE", "FileLayout", "SharedFile"]

#: Bytes of every header.
HEADER_SIZE = 4096


class FileLayout(Protocol):
    """Where things lie in such a file."""

    @property
    def size(self) -> int:
        """Bytes of the file."""

    def places(self) -> dict[str, int]:
        """Return the header's fields that describe the layout."""


Layout = TypeVar("Layout", bound=FileLayout)


class SharedFile(Generic[Layout]):
    """An open file, whose header is what it should be.

    Parameters
    ----------
    path : Path
    layout : FileLayout

    Raises
    ------
    TrafficError
        If the file is missing, short, or of another version or lab.
    """

    #: Its name in messages, its first bytes, its version, and the fields of its header with their offsets.
    NAME: ClassVar[str]
    MAGIC: ClassVar[bytes]
    VERSION: ClassVar[int]
    PLACES: ClassVar[Mapping[str, tuple[str, int]]]

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self.layout = layout
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            self._file = os.fdopen(descriptor, "r+b", buffering=0)
        except OSError as error:
            raise TrafficError(f"cannot open the {self.NAME} {path}: {error.strerror}") from error
        try:
            self._check()
        except TrafficError:
            self.close()
            raise

    @classmethod
    def create(cls, path: Path, layout: Layout, owner: tuple[int, int] | None = None, **fields: int) -> None:
        """Create a file of mode 0600, a hole but for its header, for `owner` (uid, gid) if given.

        Parameters
        ----------
        path : Path
        layout : FileLayout
        owner : tuple of int, optional
        **fields
            Of the header, beside those of the layout.

        Raises
        ------
        TrafficError
            If there is no room, or the file exists.
        """
        header = np.zeros(1, cls._header_type())
        header["magic"], header["version"] = cls.MAGIC, cls.VERSION
        for name, value in (layout.places() | fields).items():
            header[name] = value
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                os.ftruncate(descriptor, layout.size)
                file.write(header.tobytes())
                if owner is not None:
                    os.fchown(descriptor, *owner)
        except OSError as error:
            raise TrafficError(f"cannot make the {cls.NAME} {path}: {error.strerror}") from error

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def header(self) -> dict[str, Any]:
        """Return the fields of the header, unchecked."""
        record = np.frombuffer(self._read(0, HEADER_SIZE), self._header_type())[0]
        return {name: record[name].item() for name in self.PLACES}

    def set(self, **values: int) -> None:
        """Store the host's fields of the header.

        Parameters
        ----------
        **values
            They are stored in the order of the call.
        """
        for name, value in values.items():
            kind, offset = self.PLACES[name]
            write_at(self._file.fileno(), np.array(value, kind).tobytes(), offset)

    def clear(self) -> None:
        """Set all that follows the header to 0 and free its room, while nobody counts."""
        # To truncate it would kill each QEMU that has it mapped: so punch a hole.
        punch(self._file.fileno(), HEADER_SIZE, self.layout.size - HEADER_SIZE)

    @classmethod
    def _header_type(cls) -> np.dtype[Any]:
        return np.dtype(
            {
                "names": [*cls.PLACES],
                "formats": [kind for kind, _ in cls.PLACES.values()],
                "offsets": [offset for _, offset in cls.PLACES.values()],
                "itemsize": HEADER_SIZE,
            }
        )

    def _check(self) -> None:
        header = self.header()
        if (identity := (header["magic"], header["version"])) != (right := (self.MAGIC, self.VERSION)):
            raise TrafficError(f"{self.path} is of version {identity}, and not {right}")
        places = self.layout.places()
        if (others := {name: header[name] for name in places}) != places:
            raise TrafficError(f"{self.path} is another lab's: it is laid out as {others}, and not {places}")
        self._check_size()

    def _check_size(self) -> None:
        if (size := os.fstat(self._file.fileno()).st_size) < self.layout.size:
            raise TrafficError(f"{self.path} has {size} bytes of {self.layout.size}: it was cut short")

    def _read(self, offset: int, length: int) -> bytes:
        content = read_at(self._file.fileno(), length, offset)
        if len(content) != length:
            raise TrafficError(f"{self.path} ends at {offset + len(content)}: it was cut short")
        return content
