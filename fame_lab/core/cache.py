"""The cache, where images and programs are kept from one lab to the next."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from fame_lab.core.locking import open_locked
from fame_lab.core.sanitize import quoted
from fame_lab.errors import HostError

__all__ = ["cache_directory", "caches", "changing", "own_cache", "remove", "scratch"]


def cache_directory() -> Path:
    """Return the directory of guest images, which need not exist yet.

    It is ``$FAME_LAB_CACHE`` if that is set. For root it is /var/cache/fame_lab, which libvirt's QEMU user
    can read; for others it is the user's own cache.
    """
    if chosen := os.environ.get("FAME_LAB_CACHE"):
        try:
            path = Path(chosen).expanduser().absolute()
        except RuntimeError as error:  # it names the home of no known user
            raise HostError(
                f"FAME_LAB_CACHE is {quoted(chosen)}: {error}", hint="give a directory"
            ) from error
        existing = next(each for each in (path, *path.parents) if os.path.lexists(each))
        if not existing.is_dir():
            raise HostError(
                f"FAME_LAB_CACHE is {quoted(chosen)}, and {existing} is no directory", hint="give one"
            )
        return path
    return _default_cache()


def own_cache() -> Path:
    """Return the cache that this user can write to: :func:`cache_directory`, or else the user's own.

    A cache that root made, say, offers its images to all users, and stores nothing for them.
    """
    chosen = cache_directory()
    return chosen if _is_writable(chosen) else _default_cache()


def caches(kind: str) -> list[Path]:
    """List the directories of one kind: in the cache, and in the user's own if that is another."""
    return [each / kind for each in dict.fromkeys((cache_directory(), own_cache()))]


def _is_writable(path: Path) -> bool:
    while not path.exists() and path != path.parent:
        path = path.parent
    # A file in its place is a mistake, which a later write reports.
    return not path.is_dir() or os.access(path, os.W_OK | os.X_OK)


def _default_cache() -> Path:
    if os.geteuid() == 0:
        return Path(platformdirs.site_cache_dir("fame_lab"))
    return Path(platformdirs.user_cache_dir("fame_lab"))


@contextlib.contextmanager
def changing(directory: Path) -> Iterator[None]:
    """Create a directory of the cache, readable for QEMU's user, and lock it while the block runs."""
    directory.mkdir(parents=True, exist_ok=True)
    with open_locked(directory / "lock", os.O_RDWR | os.O_CREAT):
        above = next(each for each in (cache_directory(), own_cache()) if directory.is_relative_to(each))
        for each in (directory, *directory.parents):
            if each.is_relative_to(above) and each.stat().st_uid == os.geteuid():
                each.chmod(each.stat().st_mode | 0o055)
        yield


@contextlib.contextmanager
def scratch(directory: Path) -> Iterator[Path]:
    """Create a directory that is removed at the block's end; also remove those that killed processes left.

    It lies in a directory of the cache that this process is :func:`changing`.
    """
    for leftover in directory.glob("building-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix="building-", dir=directory))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def remove(directory: Path) -> None:
    """Remove a directory of the cache, renamed first: nobody ever uses a partly removed one.

    Raises
    ------
    HostError
        If it cannot be removed.
    """
    try:
        trash = directory.with_name(f"building-{directory.name[:12]}")
        directory.rename(trash)
        shutil.rmtree(trash)
    except OSError as error:
        raise HostError(f"cannot remove {directory}: {error.strerror} ({error.filename})") from error
