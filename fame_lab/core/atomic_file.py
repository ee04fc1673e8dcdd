"""A file that appears at its place whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

from fame_lab.core.sizes import format_size
from fame_lab.errors import HostError

__all__ = ["make_sparse"]

log = logging.getLogger(__name__)


def make_sparse(
    path: Path, size: int, reserved: int, announce: Callable[[os.stat_result], None]
) -> os.stat_result:
    """Create a sparse FAM file of mode 0600, its last `reserved` bytes allocated; return its status.

    Parameters
    ----------
    path : Path
    size, reserved : int
        Bytes.
    announce : callable
        Called with the file's status before the file appears.

    Raises
    ------
    HostError
        If it cannot be made, or its file system cannot hold it. No file is left then.
    """
    with contextlib.ExitStack() as undo:
        try:
            descriptor, appear = _open_new(path, undo)
        except OSError as error:
            raise _not_made(path, error) from error
        undo.callback(os.close, descriptor)
        try:
            os.ftruncate(descriptor, size)
            os.posix_fallocate(descriptor, size - reserved, reserved)
            filesystem = os.fstatvfs(descriptor)
            status = os.fstat(descriptor)
        except OSError as error:
            raise _too_large(path, size, error) from error
        announce(status)
        try:
            appear()
        except OSError as error:
            raise _not_made(path, error) from error
        undo.pop_all()
        os.close(descriptor)
    # A hugetlbfs without a limit says that it has no blocks at all.
    if filesystem.f_blocks and (free := filesystem.f_bavail * filesystem.f_frsize) < size:
        log.warning(
            "FAM of %s is sparse and %s has %s free: nodes that store more end, or hang under KVM",
            format_size(size),
            path.parent,
            f"{free >> 20} MiB",
        )
    return status


def _open_new(path: Path, undo: contextlib.ExitStack) -> tuple[int, Callable[[], None]]:
    """Open a file that is yet to appear at `path`; return its descriptor, and a function that links it."""
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        descriptor = os.open(path.parent, flags | os.O_TMPFILE, 0o600)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):  # a file system that has none without a name
            raise
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        undo.callback(path.unlink)
        return descriptor, lambda: None
    unnamed = f"/proc/self/fd/{descriptor}"
    # Python follows the link only if a directory is given, which the kernel does not look at.
    return descriptor, lambda: os.link(unnamed, path, src_dir_fd=descriptor, follow_symlinks=True)


def _not_made(path: Path, error: OSError) -> HostError:
    """Return the error for a file that cannot be opened, or cannot appear."""
    return HostError(f"cannot make the FAM file {path}: {error.strerror}", hint="choose another fam_path")


def _too_large(path: Path, size: int, error: OSError) -> HostError:
    """Return the error for a file that cannot have its size."""
    if error.errno == errno.ENOSPC:
        return HostError(
            f"no room for FAM at {path}: {path.parent} is full", hint="free some, or choose another fam_path"
        )
    if error.errno in (errno.EFBIG, errno.EINVAL):
        return HostError(
            f"fam is {format_size(size)}: the file system of {path.parent} holds no file so large",
            hint="give a smaller fam, or a fam_path elsewhere",
        )
    return HostError(f"cannot make the FAM file {path} of {format_size(size)}: {error.strerror}")
