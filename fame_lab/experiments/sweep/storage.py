"""The directory of a sweep: its plan, and each point once it is measured."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fame_lab.core.locking import open_locked
from fame_lab.core.paths import given_path
from fame_lab.core.sanitize import quoted
from fame_lab.errors import HostError, SpecError
from fame_lab.experiments.sweep.plan import Plan, Point
from fame_lab.results.result import Result
from fame_lab.results.storage import BROKEN

__all__ = ["Failure", "SweepStore"]

_PLAN = "plan.json"
#: The most bytes to read of a plan, or of a failure.
_MAX_PLAN, _MAX_FAILURE = 64 << 20, 1 << 20


@dataclass(frozen=True)
class Failure:
    """The reason why a point has no numbers.

    Parameters
    ----------
    kind : str
        The error's class, such as ``"ProbeError"``.
    error : str
        Its message.
    host : str
        The host of the try.
    time : str
        The time of the try, UTC.
    """

    kind: str
    error: str
    host: str
    time: str


class SweepStore:
    """A sweep on disk.

    Parameters
    ----------
    path : path
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = given_path("directory", path).absolute()

    @contextlib.contextmanager
    def taken_up(self, plan: Plan) -> Iterator[Plan]:
        """Lock the directory for a sweep, and yield its plan: `plan`, or an earlier one of the same settings.

        Raises
        ------
        SpecError
            If another sweep is at work in it, or it holds something else, or a sweep with other settings.
        HostError
            If it cannot be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                directory_lock = open_locked(self.path.resolve(), os.O_RDONLY | os.O_DIRECTORY, wait=False)
                descriptor = stack.enter_context(directory_lock)
            except OSError as error:
                raise HostError(f"cannot use {str(self.path)!r} for a sweep: {error.strerror}") from error
            if descriptor is None:
                raise SpecError(
                    f"another sweep is at work in {str(self.path)!r}",
                    hint="wait for it, or give another directory",
                )
            yield self._plan_of(plan)

    def _plan_of(self, plan: Plan) -> Plan:
        self._clear()
        if (self.path / _PLAN).exists():
            before = self.plan()
            differences = before.differences(plan)
            if not differences:
                return before
            if self.done():
                raise SpecError(
                    f"{str(self.path)!r} holds a sweep that was asked for otherwise: "
                    f"{'; '.join(differences[:5])}",
                    hint="ask for the same, or give another directory",
                )
            # It has no points to lose: most likely its settings were refused at the first one.
            shutil.rmtree(self._failures, ignore_errors=True)
        elif names := sorted(path.name for path in self.path.iterdir()):
            raise SpecError(
                f"{str(self.path)!r} holds {quoted(names[0])} and is no sweep",
                hint="give a directory of its own",
            )
        self._write(self.path / _PLAN, plan.to_dict())
        return plan

    def _clear(self) -> None:
        """Delete the unfinished files of a killed sweep."""
        for place in (self.path, self._points, self._failures):
            for path in place.glob(".sweep-*"):
                path.unlink(missing_ok=True)
        for path in self._points.glob(".[0-9]*-*"):
            shutil.rmtree(path, ignore_errors=True)

    def plan(self) -> Plan:
        """Read the plan.

        Raises
        ------
        SpecError
            If there is none, or this version cannot read it.
        """
        try:
            return Plan.from_dict(_read(self.path / _PLAN, _MAX_PLAN))
        except (*BROKEN, RecursionError) as error:
            raise SpecError(f"{str(self.path)!r} holds no sweep that can be read: {error}") from error

    def done(self) -> set[int]:
        """Return the numbers of the measured points."""
        return {int(path.name) for path in self._points.glob("[0-9]*") if path.name.isdecimal()}

    def result(self, point: Point) -> Result:
        """Load the result of a point."""
        return Result.load(self._point(point))

    def failure(self, point: Point) -> Failure | None:
        """Return a point's failure; None if it has numbers, or was not tried yet."""
        try:
            record = _read(self._failed(point), _MAX_FAILURE)
            return Failure(*(str(record[field.name]) for field in fields(Failure)))
        except FileNotFoundError:
            return None
        except (*BROKEN, RecursionError) as error:
            raise SpecError(f"{str(self._failed(point))!r} cannot be read: {error}") from error

    def keep(self, point: Point, outcome: Result | Failure) -> None:
        """Save the outcome of a point.

        Raises
        ------
        HostError
            If it cannot be written.
        """
        if isinstance(outcome, Failure):
            self._write(self._failed(point), vars(outcome))
            return
        if not self._point(point).exists():  # another worker may have measured it as well
            outcome.save(self._point(point))
        self._failed(point).unlink(missing_ok=True)

    @property
    def _points(self) -> Path:
        return self.path / "points"

    @property
    def _failures(self) -> Path:
        return self.path / "failures"

    def _point(self, point: Point) -> Path:
        return self._points / f"{point.number:06}"

    def _failed(self, point: Point) -> Path:
        return self._failures / f"{point.number:06}.json"

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        """Write a file that appears whole, or not at all."""
        try:
            path.parent.mkdir(exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".sweep-")
            try:
                with os.fdopen(descriptor, "w") as file:
                    json.dump(content, file, indent=1)
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise HostError(
                f"cannot write {str(path)!r}: {error.strerror}", hint="make room there"
            ) from error


def _read(path: Path, most: int) -> Any:
    if path.stat().st_size > most:
        raise ValueError(f"{path.name} has more than {most} bytes")
    return json.loads(path.read_text())
