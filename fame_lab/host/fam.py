"""FAM on the host: one sparse file, created or found, mapped with numpy."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import mmap
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fame_lab.core.atomic_file import make_sparse
from fame_lab.core.file_io import write_at
from fame_lab.core.plain_bytes import check_elements, check_range, plain_bytes, plain_dtype
from fame_lab.core.sigbus import report_fatal_signals
from fame_lab.core.sizes import format_size
from fame_lab.errors import HostError, SpecError
from fame_lab.spec.fam_layout import CONTROL_SIZE, ControlArea

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Fam"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fam:
    """The backing file that every node of a lab has as BAR2.

    Parameters
    ----------
    path : Path
    size : int
        Bytes.
    created : bool
        Whether the lab made the file, and so removes it.
    identity : tuple of int
        Device and inode, which differ if another file was put in its place.
    """

    path: Path
    size: int
    created: bool
    identity: tuple[int, int] = field(repr=False)

    @classmethod
    def create(cls, path: Path, size: int, announce: Callable[[Fam], None] = lambda _: None) -> Fam:
        """Create a sparse file of mode 0600 with room for its control area.

        Parameters
        ----------
        path : Path
        size : int
            Bytes.
        announce : callable
            Called with it before it appears, so that a later clean-up knows it for ours.

        Returns
        -------
        Fam

        Raises
        ------
        HostError
            If it cannot be made, or its file system cannot hold it. Nothing is left then.
        """

        def fam(status: os.stat_result) -> Fam:
            return cls(path, size, created=True, identity=_identity(status))

        return fam(make_sparse(path, size, CONTROL_SIZE, lambda status: announce(fam(status))))

    @classmethod
    def existing(cls, path: Path, size: int) -> Fam:
        """Return FAM in an existing file, which is used as it is.

        Parameters
        ----------
        path : Path
        size : int
            Bytes of FAM that it has to have.

        Returns
        -------
        Fam

        Raises
        ------
        SpecError
            If it has another size.
        HostError
            If it is no regular file, or cannot be opened.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise HostError(f"cannot open the FAM file {path}: {error.strerror}") from error
        with io.FileIO(descriptor) as file:
            status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise HostError(f"{path} is not a regular file: FAM must be one")
        if status.st_size != size:
            mend = "that is no power of two, so it cannot be a BAR; truncate it to one, or give another path"
            if status.st_size.bit_count() == 1:
                mend = f"give fam={format_size(status.st_size)!r}, or another path"
            raise SpecError(f"fam is {format_size(size)}, but {path} has {status.st_size} bytes: {mend}")
        return cls(path, size, created=False, identity=_identity(status))

    @property
    def control(self) -> ControlArea:
        """The layout of nonces and barriers."""
        return ControlArea(self.size)

    def array(
        self,
        dtype: npt.DTypeLike = "u1",
        offset: int = 0,
        count: int | None = None,
        *,
        writable: bool = False,
    ) -> npt.NDArray[Any]:
        """Return FAM as a numpy array, without copying.

        Parameters
        ----------
        dtype : dtype
            The type of an element, such as ``"u8"`` for 8 bytes, unsigned.
        offset : int
            Bytes from the start of FAM, a multiple of the dtype's alignment.
        count : int, optional
            Elements; by default as many as FAM has from `offset`.
        writable : bool
            Whether the array may be written to; the nodes see it at once.

        Returns
        -------
        ndarray of shape (count,)
            It stays valid after the lab has ended. If the file is truncated or its file system is full, an
            access to a missing page kills the process (SIGBUS). `faulthandler`, enabled with the first
            array, then writes the line of the access to standard error; a kernel's is in its server's log.
            :meth:`read` raises instead. On tmpfs, reading a hole through the array allocates the page;
            :meth:`read` does not.

        Raises
        ------
        SpecError
            If the range is outside FAM, misaligned, or the dtype holds Python objects.
        HostError
            If the file is not the one the lab has, or not of its size any more.
        """
        kind = plain_dtype(dtype)
        start, elements = check_elements(kind, offset, count, self.size)
        report_fatal_signals()
        with self.open_file(writable=writable) as file:
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            try:
                mapping = mmap.mmap(file.fileno(), self.size, access=access)
            except OSError as error:
                raise HostError(
                    f"cannot map {self.path}: {error.strerror}; hugetlbfs must have pages for all of it"
                ) from error
        return np.frombuffer(mapping, kind, elements, start) if elements else np.empty(0, kind)

    def read(self, offset: int, size: int) -> bytes:
        """Copy `size` bytes from `offset`, filling no hole.

        Parameters
        ----------
        offset, size : int
            Bytes; any part of FAM, all of it too.

        Returns
        -------
        bytes

        Raises
        ------
        SpecError
            If the range is outside FAM.
        HostError
            If the file is not the one the lab has or not of its size any more, or this host's memory has no
            room for a copy.
        """
        start, size = check_range(offset, size, self.size)
        # One allocation, which the reader fills by as many calls as it takes.
        with self.open_file() as file, io.BufferedReader(file) as reader:
            try:
                reader.seek(start)
                content = reader.read(size)
            except MemoryError:
                raise HostError(
                    f"this host's memory has no room for a copy of {size} bytes of FAM",
                    hint="read less at a time, or take array(), which copies nothing",
                ) from None
            except OSError as error:
                raise HostError(f"cannot read {self.path} at {start}: {error.strerror}") from error
        if len(content) != size:
            raise HostError(f"{self.path} was truncated while it was read at {start}")
        return content

    def write(self, offset: int, content: Buffer | npt.NDArray[Any], *, control: bool = False) -> None:
        """Store `content` at `offset`.

        Parameters
        ----------
        offset : int
            Bytes from the start of FAM.
        content : bytes-like or ndarray
            All its bytes, an array's in C order and in the byte order of its dtype.
        control : bool
            Whether `content` may reach the control area. Otherwise a warning is logged if it does: a probe or
            a start under way may fail, and a file of the user's own gets its former end back.

        Raises
        ------
        SpecError
            If the range is outside FAM, or the content is not plain bytes. No byte is written then.
        HostError
            If the file is not the one the lab has or not of its size any more, or there is no room.
        """
        plain = plain_bytes(content)
        start, size = check_range(offset, plain.nbytes, self.size)
        if not control and size and start + size > self.control.offset:
            log.warning("%d bytes at %d reach FAM's control area: a probe under way may fail", size, start)
        with self.open_file(writable=True) as file:
            try:
                write_at(file.fileno(), plain.data, start)
            except OSError as error:
                if error.errno == errno.EINVAL:  # hugetlbfs can be mapped and read, and not written to
                    self.array("u1", start, size, writable=True)[:] = plain
                    return
                raise HostError(f"cannot write to {self.path} at {start}: {error.strerror}") from error

    def allocated(self) -> int:
        """Return the allocated bytes of the file, which is sparse."""
        with self.open_file() as file:
            return os.fstat(file.fileno()).st_blocks * 512

    def check(self) -> None:
        """Raise HostError unless the file is the very one that the lab has, of its size."""
        self.open_file().close()

    def open_file(self, *, writable: bool = False) -> io.FileIO:
        """Open the file, without a buffer; the caller closes it.

        Parameters
        ----------
        writable : bool

        Returns
        -------
        FileIO

        Raises
        ------
        HostError
            If the file is not the one the lab has, or not of its size any more.
        """
        try:
            # No link is followed to a file that the lab made: no other program may choose its place.
            flags = os.O_CLOEXEC | (os.O_NOFOLLOW if self.created else 0)
            descriptor = os.open(self.path, flags | (os.O_RDWR if writable else os.O_RDONLY))
            file = io.FileIO(descriptor, "r+b" if writable else "rb")
        except OSError as error:
            raise HostError(
                f"cannot open FAM at {self.path}: {error.strerror}; is the lab still there?"
            ) from error
        status = os.fstat(file.fileno())
        if _identity(status) != self.identity:
            fault = "is another file than the one the nodes have: it was replaced under the lab"
        elif status.st_size != self.size:
            fault = f"has {status.st_size} bytes instead of {self.size}: it was truncated"
        else:
            return file
        file.close()
        raise HostError(f"{self.path} {fault}")

    def remove(self) -> None:
        """Delete the file if the lab made it and it is still that one."""
        if not self.created:
            return
        with contextlib.suppress(FileNotFoundError):
            if _identity(self.path.lstat()) == self.identity:
                self.path.unlink()
            else:
                log.warning("%s is not the file that the lab made: left alone", self.path)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
