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

__all__ = ["cache_directory", "caches", "changing", "own_cache", "scratch"]


def cache_directory() -> Path:
    """Return the directory of guest images; it need not exist yet.

    ``$FAME_LAB_CACHE`` if set. As root it is /var/cache/fame_lab, which libvirt's QEMU user can read,
    otherwise the user's own cache.
    """
    if chosen := os.environ.get("FAME_LAB_CACHE"):
        try:
            place = Path(chosen).expanduser().absolute()
        except RuntimeError as error:  # whose home it names nobody knows
            raise HostError(
                f"FAME_LAB_CACHE is {quoted(chosen)}: {error}", hint="give a directory"
            ) from error
        there = next(each for each in (place, *place.parents) if os.path.lexists(each))
        if not there.is_dir():
            raise HostError(
                f"FAME_LAB_CACHE is {quoted(chosen)}, and {there} is no directory", hint="give one"
            )
        return place
    return _default_cache()


def own_cache() -> Path:
    """Return the cache for what this user leaves: :func:`cache_directory`, or else the user's own.

    One that root made, say, gives its images to all, and keeps nothing of theirs.
    """
    chosen = cache_directory()
    return chosen if _is_writable(chosen) else _default_cache()


def caches(kind: str) -> list[Path]:
    """List where there may be things of a kind: in the cache, and in the user's own if that is another."""
    return [each / kind for each in dict.fromkeys((cache_directory(), own_cache()))]


def _is_writable(path: Path) -> bool:
    while not path.exists() and path != path.parent:
        path = path.parent
    # A file in its place is a mistake, which whoever writes there names.
    return not path.is_dir() or os.access(path, os.W_OK | os.X_OK)


def _default_cache() -> Path:
    if os.geteuid() == 0:
        return Path(platformdirs.site_cache_dir("fame_lab"))
    return Path(platformdirs.user_cache_dir("fame_lab"))


@contextlib.contextmanager
def changing(directory: Path) -> Iterator[None]:
    """Make a directory of the cache, readable for QEMU's user, and keep others from changing it meanwhile."""
    directory.mkdir(parents=True, exist_ok=True)
    with open_locked(directory / "lock", os.O_RDWR | os.O_CREAT):
        above = next(each for each in (cache_directory(), own_cache()) if directory.is_relative_to(each))
        for each in (directory, *directory.parents):
            if each.is_relative_to(above) and each.stat().st_uid == os.geteuid():
                each.chmod(each.stat().st_mode | 0o055)
        yield


@contextlib.contextmanager
def scratch(directory: Path) -> Iterator[Path]:
    """Create a directory that goes at the block's end, with any that a killed process left.

    It lies in a directory of the cache that this process is :func:`changing`.
    """
    for left in directory.glob("building-*"):
        shutil.rmtree(left, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix="building-", dir=directory))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
