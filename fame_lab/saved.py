"""A directory that holds one saved thing: replaced as a whole, or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Set
from pathlib import Path
from typing import TYPE_CHECKING

from fame_lab.errors import HostError, SpecError

if TYPE_CHECKING:
    import os

__all__ = ["save_directory"]


def save_directory(
    directory: str | os.PathLike[str], names: Set[str], write: Callable[[Path], None], what: str
) -> Path:
    """Write files into a directory of their own.

    Parameters
    ----------
    directory : path
        Made if it is not there. One that holds nothing but `names` is replaced as a whole.
    names : set of str
        The files that `write` makes.
    write : callable
        Makes them in the directory that it is given. What was there before stays until it is done.
    what : str
        What is saved, for messages, such as "a result".

    Returns
    -------
    Path
        The directory.

    Raises
    ------
    SpecError
        If there is something else.
    HostError
        If it cannot be written; what was there before is there still.
    """
    place = Path(directory).absolute()
    replaces = _may_replace(place, names, what)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}-") as passing:
            made = Path(passing) / "new"
            made.mkdir()
            write(made)
            if replaces:
                place.rename(Path(passing) / "old")
            made.rename(place)
    except OSError as error:
        raise HostError(f"cannot save {what} in {str(place)!r}: {error}") from error
    return place


def _may_replace(place: Path, names: Set[str], what: str) -> bool:
    """Say whether there is one to replace; refuse to touch anything else."""
    if not place.exists() and not place.is_symlink():
        return False
    if place.is_dir() and not place.is_symlink() and {path.name for path in place.iterdir()} <= names:
        return True
    raise SpecError(f"{str(place)!r} is there and is not {what}: choose a directory that is not there yet")
