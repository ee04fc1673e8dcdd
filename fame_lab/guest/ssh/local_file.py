"""The host's side of a copy: a file that is read for a node, or that comes from one."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fame_lab.core.sanitize import quoted, shortened
from fame_lab.core.sizes import MIB, format_size
from fame_lab.errors import CommandError, HostError, SpecError

__all__ = ["Arriving", "destination", "local_path", "path_text", "pieces", "source"]

_PIECE = 1 << 18
#: Bytes of a file that says that it has none, as those of /proc do.
_MAX_UNSIZED = 64 * MIB
_MODES = 0o777


class Arriving:
    """A file that comes from a guest, with a temporary name beside its target."""

    def __init__(self, target: Path, source: str, max_bytes: int, undo: contextlib.ExitStack) -> None:
        self._target = Path(os.path.realpath(target))
        self._source = source
        self._max_bytes = max_bytes
        self._undo = undo
        self._head = b""
        self._file: BinaryIO | None = None
        self._part = self._target.with_name(f".fame-get-{secrets.token_hex(8)}")
        self._offset = 0

    def take(self, piece: bytes) -> None:
        """Write a piece: first comes a line with size and permissions, then the content."""
        if self._file is None:
            self._head += piece
            line, newline, piece = self._head.partition(b"\n")
            if not newline:
                if len(line) > 100:
                    raise CommandError(f"{quoted(self._source)} is announced by something else than its size")
                return
            self._file = self._opened(line)
        self._offset += len(piece)
        if self._offset > self._max_bytes:
            raise self.too_large()
        try:
            self._file.write(piece)
        except OSError as error:
            raise _not_written(self._target, error) from error

    def finish(self) -> None:
        """Rename the file to its target."""
        if self._file is None:
            raise CommandError(f"{quoted(self._source)} did not come, though its node says that it did")
        try:
            self._file.close()
            self._part.replace(self._target)
        except OSError as error:
            raise _not_written(self._target, error) from error

    def too_large(self) -> SpecError:
        """Return the error for a file with more than `max_bytes` bytes."""
        return SpecError(
            f"{quoted(self._source)} has more than the {format_size(self._max_bytes)} that are taken",
            hint="give a larger `most` (--most)",
        )

    def _opened(self, line: bytes) -> BinaryIO:
        try:
            size, mode = (int(word, base) for word, base in zip(line.split(), (10, 8), strict=True))
        except ValueError:
            words = shortened(line.decode(errors="replace"))
            raise CommandError(f"{quoted(self._source)} is announced by {words}, which is no size") from None
        if size > self._max_bytes:
            raise self.too_large()
        try:
            filesystem = os.statvfs(self._target.parent)
            if size > filesystem.f_bavail * filesystem.f_frsize:
                free = format_size(filesystem.f_bavail * filesystem.f_frsize)
                raise HostError(
                    f"no room for {quoted(self._source)} at {quoted(str(self._target))}: it has "
                    f"{format_size(size)} bytes, and {free} are free"
                )
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(self._part, flags, mode & _MODES)
        except OSError as error:
            raise _not_written(self._target, error) from error
        self._undo.callback(self._part.unlink, missing_ok=True)
        return self._undo.enter_context(os.fdopen(descriptor, "wb", buffering=0))


@contextlib.contextmanager
def source(path: Path) -> Iterator[tuple[BinaryIO, int, int]]:
    """Open a regular file for reading; yield it, its size and its permissions."""
    with contextlib.ExitStack() as stack:
        try:
            _check_regular(path, path.stat())
            # If it has become a FIFO by now, to open it would wait for a writer.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            file: BinaryIO = stack.enter_context(os.fdopen(descriptor, "rb", buffering=0))
            status = os.fstat(descriptor)
            _check_regular(path, status)
            size = status.st_size
            if size == 0:
                content = file.read(_MAX_UNSIZED + 1)
                if len(content) > _MAX_UNSIZED:
                    raise SpecError(
                        f"{quoted(str(path))} has no size, and does not end", hint="copy it to a file first"
                    )
                file, size = io.BytesIO(content), len(content)
        except OSError as error:
            raise HostError(f"cannot read {quoted(str(path))}: {error.strerror}") from error
        yield file, size, status.st_mode & _MODES


def _check_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise SpecError(
            f"{quoted(str(path))} is a directory", hint="put takes a file, such as an archive of it"
        )
    if not stat.S_ISREG(status.st_mode):
        raise SpecError(f"{quoted(str(path))} is no regular file", hint="put takes no device, FIFO or socket")


def pieces(file: BinaryIO, size: int, path: Path) -> Iterator[bytes]:
    """Yield the content of a file, in the size that it had when it was opened."""
    while size > 0:
        try:
            piece = file.read(min(size, _PIECE))
        except OSError as error:
            raise HostError(f"cannot read {quoted(str(path))}: {error.strerror}") from error
        if not piece:
            raise HostError(f"{quoted(str(path))} was truncated while it was read")
        size -= len(piece)
        yield piece


def destination(local: str | os.PathLike[str], name: str) -> Path:
    """Return the path of the copy: `local`, or `name` in it if that is a directory."""
    path = local_path(local)
    try:
        if path.is_dir():
            if name in ("", ".."):
                raise SpecError(f"{quoted(name)} names no file", hint="give the name that it is to have")
            path /= name
        real = Path(os.path.realpath(path))
        if real.is_dir() or (real.exists() and not real.is_file()):
            raise HostError(f"{quoted(str(path))} is there and no regular file", hint="give another name")
        if not real.parent.is_dir() or (os.fspath(local).endswith("/") and path == local_path(local)):
            raise HostError(
                f"cannot write {quoted(str(path))}: there is no such directory", hint="make it first"
            )
    except OSError as error:
        raise _not_written(path, error) from error
    return path


def local_path(path: str | os.PathLike[str]) -> Path:
    """Return a path of this host's; ``~`` is the user's home."""
    try:
        return Path(path_text(path, "the local path")).expanduser()
    except RuntimeError as error:
        raise SpecError(f"the local path is {quoted(path)}: {error}") from error


def path_text(path: object, what: str) -> str:
    """Return a path as text; raise SpecError if no file can have it."""
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise SpecError(f"{what} is {quoted(path)}", hint="give a string or a path")
    if not text or "\0" in text:
        raise SpecError(f"{what} is {quoted(text)}: no file has that name")
    return text


def _not_written(path: Path, error: OSError) -> HostError:
    hint = "; make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return HostError(f"cannot write {quoted(str(path))}: {error.strerror}{hint}")
