"""Single words of FAM, loaded and stored by system calls.

A read from a mapping of a truncated file kills the process (SIGBUS), and a system call fails.
"""

from __future__ import annotations

import errno
import mmap
import os

from fame_lab.core.file_io import read_at, write_at
from fame_lab.errors import HostError
from fame_lab.host.fam import Fam

__all__ = ["FamWords"]

_WORD = 8


class FamWords:
    """Words of 8 bytes, little-endian, by their offset in FAM.

    Raises
    ------
    HostError
        If the file is not the one the lab has, or not of its size any more.
    """

    def __init__(self, fam: Fam) -> None:
        self._path = fam.path
        self._file = fam.open_file(writable=True)
        self._descriptor = self._file.fileno()
        self._mapping: mmap.mmap | None = None

    def load(self, offset: int) -> int:
        """Return the word at `offset`.

        Raises
        ------
        HostError
            If the file was truncated.
        """
        content = read_at(self._descriptor, _WORD, offset)
        if len(content) != _WORD:
            raise HostError(f"{self._path} was truncated: it ends before {offset + _WORD}")
        return int.from_bytes(content, "little")

    def store(self, offset: int, value: int) -> None:
        """Store a word at `offset`.

        Raises
        ------
        HostError
            If the file was truncated, or there is no room.
        """
        content = value.to_bytes(_WORD, "little")
        if self._mapping is not None:
            self._mapping[offset : offset + _WORD] = content
            return
        # Beyond its end a store would make the file longer again, as if nothing had happened.
        if os.fstat(self._descriptor).st_size < offset + _WORD:
            raise HostError(f"{self._path} was truncated: it ends before {offset + _WORD}")
        try:
            write_at(self._descriptor, content, offset)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise HostError(f"cannot write to {self._path} at {offset}: {error.strerror}") from error
            # hugetlbfs: it can be mapped and read, and not be written to.
            self._mapping = mmap.mmap(self._descriptor, os.fstat(self._descriptor).st_size)
            self._mapping[offset : offset + _WORD] = content

    def close(self) -> None:
        """Close the file."""
        if self._mapping is not None:
            self._mapping.close()
        self._file.close()
