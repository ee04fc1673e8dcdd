"""Types of arguments that several commands take: NAME=VALUE, and the name of a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fame_lab.core.paths import given_path
from fame_lab.errors import SpecError
from fame_lab.probes.common import parameters

__all__ = ["as_path", "check_picture", "named", "parameter"]

_PICTURES = (".png", ".svg", ".pdf")


def as_path(text: str) -> Path:
    """Read a path."""
    try:
        return given_path("it", text)
    except SpecError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def named(text: str) -> tuple[str, str]:
    """Part NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def parameter(text: str) -> tuple[str, Any]:
    """Part it, and read the value as a probe's."""
    name, value = named(text)
    return name, parameters.value(value)


def check_picture(path: Path | None, *, replaced: bool = False) -> None:
    """Refuse a picture that could not be written in the end, before anything is measured.

    Parameters
    ----------
    path : path, optional
        What ``--plot`` was given.
    replaced : bool
        Whether one that is there may be replaced.

    Raises
    ------
    SpecError
        If it is of no kind that can be drawn, there is no such directory, or it is there.
    """
    if path is None:
        return
    if path.suffix not in _PICTURES:
        raise SpecError(f"--plot is {str(path)!r}: give a name that ends in .png, .svg or .pdf")
    if not path.absolute().parent.is_dir():
        raise SpecError(f"--plot is {str(path)!r}: there is no directory {str(path.absolute().parent)!r}")
    if path.exists() and not (replaced and path.is_file()):
        raise SpecError(f"--plot is {str(path)!r}, which is there: give a name that is not there yet")
