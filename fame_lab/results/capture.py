"""Capture what a notebook measures while a report is made of it, in order.

The kernel saves measurements in the directory that the environment names. The report looks there after each
cell, and so knows the cell of each measurement.
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

#: The report sets it when it runs a notebook: the directory for its measurements.
DATA_VARIABLE = "FAME_LAB_REPORT_DATA"

_NAME = re.compile(r"(\d{3,})-(\w+)", re.ASCII)
_MANIFEST = "manifest.json"
#: A saved measurement is known by one of its files.
_KINDS = {"dataset.nc": "result", "counts.nc": "traffic", "plan.json": "sweep"}
#: The label of a recording's numbers, by its source.
_LABELS = {"trace": "traced", "samples": "sampled"}

_numbering = threading.Lock()
_part_of_another: ContextVar[bool] = ContextVar("fame_lab_part_of_another", default=False)


def keep(name: str, save: Callable[[Path], object]) -> None:
    """Save a measurement for a report; without one, do nothing.

    If it cannot be saved, the cell's output says so, and the report lacks it. The cell goes on, for it has
    measured, and may save it elsewhere.

    Parameters
    ----------
    name : str
        A word for it, such as the probe's name.
    save : callable
        It saves the measurement in the directory of its argument, which exists and is empty.
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
    """Save no measurement of this block alone: it is part of one that is saved as a whole."""
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
            directory = place / f"{number:03d}-{name}"
            with contextlib.suppress(FileExistsError):  # another process was quicker
                directory.mkdir()
                break
    return directory


def _numbered(place: Path) -> list[tuple[int, str]]:
    matches = [_NAME.fullmatch(path.name) for path in place.iterdir()] if place.is_dir() else []
    return sorted((int(match[1]), match[0]) for match in matches if match)


class CapturedResults:
    """The measurements that a running notebook has saved so far.

    Parameters
    ----------
    place : path
        The directory. It does not exist before the first measurement.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._cells: dict[str, int] = {}

    def look(self, cell: int) -> None:
        """Assign all new measurements to that cell, counted from 1."""
        for _, directory in _numbered(self.place):
            self._cells.setdefault(directory, cell)

    def results(self) -> list[dict[str, Any]]:
        """List each, in order: ``cell``, ``kind``, ``name``, ``directory``, ``label`` and ``manifest``.

        The label of its numbers is emulated, traced or sampled.
        """
        entries = []
        for directory, cell in self._cells.items():
            kind, manifest = self._saved(directory)
            if kind is not None:
                entry = {"cell": cell, "kind": kind, "name": directory.partition("-")[2]}
                entry["directory"] = f"{self.place.name}/{directory}"
                entry["label"] = _LABELS.get(str(manifest.get("source")), "emulated")
                entries.append(entry | {"manifest": manifest.get("manifest", {})})
        return entries

    def missing(self) -> list[dict[str, Any]]:
        """List the measurements that could not be saved, by ``cell`` and ``name``."""
        return [
            {"cell": cell, "name": directory.partition("-")[2]}
            for directory, cell in self._cells.items()
            if self._saved(directory)[0] is None
        ]

    def _saved(self, directory: str) -> tuple[str | None, dict[str, Any]]:
        """Return a saved measurement's kind, None if it is not whole, and the fields of its manifest file."""
        place = self.place / directory
        kind = next((kind for file, kind in _KINDS.items() if (place / file).is_file()), None)
        if not (place / _MANIFEST).is_file():
            return kind, {}
        try:
            return kind, dict(json.loads((place / _MANIFEST).read_text()))
        except BROKEN:
            return None, {}
