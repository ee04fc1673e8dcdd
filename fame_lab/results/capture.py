"""Capture what a notebook measures while a report is made of it, in order.

The kernel keeps, in the directory that the environment names; whoever runs the kernel looks there after each
cell, and so knows which of them made what.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from fame_lab.errors import FameError
from fame_lab.results.storage import BROKEN

__all__ = ["DATA_VARIABLE", "CapturedResults", "keep", "kept_as_one"]

log = logging.getLogger(__name__)

#: Set by whoever runs a notebook for a report: the directory for what it measures.
DATA_VARIABLE = "FAME_LAB_REPORT_DATA"

_NAME = re.compile(r"(\d{3,})-(\w+)", re.ASCII)
_MANIFEST = "manifest.json"
#: What was saved whole is known by a file of it.
_KINDS = {"dataset.nc": "result", "counts.nc": "traffic", "plan.json": "sweep"}
#: What a recording's numbers are, by its source.
_LABELS = {"trace": "traced", "samples": "sampled"}

_numbering = threading.Lock()
_part_of_another: ContextVar[bool] = ContextVar("fame_lab_part_of_another", default=False)


def keep(name: str, save: Callable[[Path], object]) -> None:
    """Save a measurement for the report that is made; where none is, do nothing.

    What cannot be saved is told, in the cell's output, and missing in the report: the cell goes on, for it
    has measured, and may save it elsewhere.

    Parameters
    ----------
    name : str
        A word for it, such as the probe's name.
    save : callable
        Saves it in the directory that it is given, which is there and empty.
    """
    place = os.environ.get(DATA_VARIABLE)
    if not place or _part_of_another.get():
        return
    try:
        save(_next(Path(place), name))
    except (FameError, *BROKEN) as error:
        log.warning("the report will be without the data of %s: %s", name, error)


@contextlib.contextmanager
def kept_as_one() -> Iterator[None]:
    """Keep nothing that this block measures: it is part of something that is kept as a whole."""
    token = _part_of_another.set(True)
    try:
        yield
    finally:
        _part_of_another.reset(token)


def _next(place: Path, name: str) -> Path:
    with _numbering:
        place.mkdir(exist_ok=True)
        last = max((at for at, _ in _numbered(place)), default=0)
        for number in itertools.count(last + 1):
            made = place / f"{number:03d}-{name}"
            with contextlib.suppress(FileExistsError):  # another process was quicker
                made.mkdir()
                break
    return made


def _numbered(place: Path) -> list[tuple[int, str]]:
    found = [_NAME.fullmatch(path.name) for path in place.iterdir()] if place.is_dir() else []
    return sorted((int(match[1]), match[0]) for match in found if match)


class CapturedResults:
    """What a notebook that is run has kept so far.

    Parameters
    ----------
    place : path
        The directory; not there as long as nothing was kept.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._cells: dict[str, int] = {}

    def look(self, cell: int) -> None:
        """Take what has come since the last look as made by that cell, counted from 1."""
        for _, directory in _numbered(self.place):
            self._cells.setdefault(directory, cell)

    def results(self) -> list[dict[str, Any]]:
        """List each, as made: ``cell``, ``kind``, ``name``, ``directory``, ``label`` and ``manifest``.

        The label says what its numbers are: emulated, traced or sampled.
        """
        told = []
        for directory, cell in self._cells.items():
            kind, saved = self._saved(directory)
            if kind is not None:
                entry = {"cell": cell, "kind": kind, "name": directory.partition("-")[2]}
                entry["directory"] = f"{self.place.name}/{directory}"
                entry["label"] = _LABELS.get(str(saved.get("source")), "emulated")
                told.append(entry | {"manifest": saved.get("manifest", {})})
        return told

    def missing(self) -> list[dict[str, Any]]:
        """List what was measured and could not be saved, by its ``cell`` and ``name``."""
        return [
            {"cell": cell, "name": directory.partition("-")[2]}
            for directory, cell in self._cells.items()
            if self._saved(directory)[0] is None
        ]

    def _saved(self, directory: str) -> tuple[str | None, dict[str, Any]]:
        """Return the kind of what lies there, None if nothing whole does, and what its manifest file says."""
        place = self.place / directory
        kind = next((kind for file, kind in _KINDS.items() if (place / file).is_file()), None)
        if not (place / _MANIFEST).is_file():
            return kind, {}
        try:
            return kind, dict(json.loads((place / _MANIFEST).read_text()))
        except BROKEN:
            return None, {}
