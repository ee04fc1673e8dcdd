"""Check paths as users give them: their type, their length, their characters."""

from __future__ import annotations

import os
from pathlib import Path

from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError

__all__ = ["given_path", "program_path"]

#: Linux's PATH_MAX, whose last byte ends the path, and NAME_MAX.
_MAX_PATH, _MAX_NAME = 4095, 255


def given_path(name: str, value: object) -> Path:
    """Return a path that the system can be asked for.

    Parameters
    ----------
    name : str
        The path's name in a message.
    value : str or path

    Raises
    ------
    SpecError
        If it is no path, is empty, too long, or has a zero byte in it.

    Examples
    --------
    >>> given_path("output", "out")
    PosixPath('out')
    """
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise SpecError(f"{name} is {quoted(value)}", hint="give a path")
    path = Path(text)
    try:
        size, *names = (len(os.fsencode(part)) for part in (str(path), *path.parts))
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise SpecError(f"{name} is {quoted(text)}: no file has such a name") from error
    if size > _MAX_PATH or max(names, default=0) > _MAX_NAME:
        raise SpecError(
            f"{name} is {quoted(text)}, of {len(text)} characters: Linux takes {_MAX_PATH} bytes for a path, "
            f"and {_MAX_NAME} for a name in it"
        )
    return path


def program_path() -> str:
    """Return the PATH with the directories of system programs, which a user's own may lack."""
    return os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin:/usr/bin:/sbin:/bin"
