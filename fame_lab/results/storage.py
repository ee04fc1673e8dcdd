"""A directory that holds one saved thing: replaced as a whole, or not at all."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Set
from pathlib import Path
from typing import TYPE_CHECKING

from fame_lab.core.paths import given_path
from fame_lab.errors import HostError, SpecError

if TYPE_CHECKING:
    import os

__all__ = ["BROKEN", "check_digest", "check_size", "digest", "save_directory"]

#: Errors that h5py, h5netcdf and xarray were seen to raise for broken files.
BROKEN = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    MemoryError,
    OverflowError,
)
_MAX_DEFLATE_RATIO = 1100  # deflate makes no more of a byte


def save_directory(
    directory: str | os.PathLike[str], names: Set[str], write: Callable[[Path], None], what: str
) -> Path:
    """Write files into a directory of their own.

    Parameters
    ----------
    directory : path
        It is created if need be. One that holds nothing but `names` is replaced as a whole.
    names : set of str
        The files that `write` makes.
    write : callable
        It makes them in the directory of its argument. The earlier files stay until it is done.
    what : str
        The saved thing, for messages, such as "a result".

    Returns
    -------
    Path
        The directory.

    Raises
    ------
    SpecError
        If it holds something else.
    HostError
        If it cannot be written. The earlier files stay then.
    """
    place = given_path("directory", directory).absolute()
    replaces = _may_replace(place, names, what)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}-") as temporary:
            new = Path(temporary) / "new"
            new.mkdir()
            write(new)
            if replaces:
                place.rename(Path(temporary) / "old")
            new.rename(place)
    except OSError as error:
        raise HostError(f"cannot save {what} in {str(place)!r}: {error}") from error
    return place


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(path: Path, expected: object) -> None:
    """Raise ValueError if a file changed since it was saved: HDF5's reader may run for ever on it."""
    if digest(path) != expected:
        raise ValueError(f"{path.name} is not as it was saved")


def check_size(path: Path) -> None:
    """Raise ValueError if a few bytes of HDF5 claim to be a terabyte of zeroes, before it is allocated."""
    import h5py  # heavy, as are the files that it reads

    with h5py.File(path) as file:
        datasets = [each for each in file.values() if isinstance(each, h5py.Dataset)]
        size = sum((each.size or 0) * each.dtype.itemsize for each in datasets)
    if size > _MAX_DEFLATE_RATIO * path.stat().st_size:
        raise ValueError(f"{path.name} claims to hold {size} bytes")


def _may_replace(place: Path, names: Set[str], what: str) -> bool:
    """Return whether there is an earlier one to replace. Raise SpecError if there is anything else."""
    if not place.exists() and not place.is_symlink():
        return False
    if place.is_dir() and not place.is_symlink() and {path.name for path in place.iterdir()} <= names:
        return True
    raise SpecError(
        f"{str(place)!r} is there and is not {what}", hint="choose a directory that is not there yet"
    )
