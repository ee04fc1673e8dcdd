"""The inputs of a comparison: one measurement, or those of a report. Folders may be a stranger's."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from fame_lab.core.paths import given_path
from fame_lab.core.sanitize import plain
from fame_lab.errors import SpecError
from fame_lab.experiments.report.manifest import MANIFEST, ReportManifest
from fame_lab.experiments.sweep.sweep import Sweep
from fame_lab.results.result import Result
from fame_lab.traffic.traffic import Traffic

__all__ = ["ComparisonInput", "Measurement", "Pair", "load_input", "match"]

Measurement = Result | Traffic

_RESULT, _TRAFFIC, _SWEEP = "dataset.nc", "counts.nc", "plan.json"
_MAX_RESULTS = 10_000
_KEPT = re.compile(r"(\d{3,9})-[\w.+-]{1,100}", re.ASCII)


@dataclass(frozen=True)
class ComparisonInput:
    """One side of a comparison.

    Parameters
    ----------
    name : str
        The path, or ``"a"`` or ``"b"``.
    measured : dict of str to Result or Traffic
        The measurements, each by a name of its own, in their order.
    manifest : dict
        A report's own manifest; empty without a report.
    is_report : bool
        Whether it is a report, with any number of measurements.
    unread : tuple of str
        Directories of a report that hold no result, no traffic and no sweep.
    """

    name: str
    measured: dict[str, Measurement]
    manifest: dict[str, Any] = field(default_factory=dict)
    is_report: bool = False
    unread: tuple[str, ...] = ()


class Pair(NamedTuple):
    """Two measurements to compare with each other, and their common name."""

    name: str
    a: Measurement
    b: Measurement


def load_input(source: Any, which: str) -> ComparisonInput:
    """Load one side of a comparison.

    Parameters
    ----------
    source : Result, Traffic, Sweep or its Dataset, or path
        A path is that of a saved result, of saved traffic, of a sweep, or of a report's folder.
    which : {"a", "b"}
        For messages.

    Raises
    ------
    SpecError
        If it is something else, cannot be read, or was computed and not measured.
    TrafficError
        If it is saved traffic that cannot be right.
    """
    if isinstance(source, Measurement):
        return _one(which, _checked(source, which))
    if isinstance(source, xr.Dataset) and "probe" in source.attrs:
        return _one(which, _swept(source))
    if isinstance(source, Sweep):
        return _one(which, _swept(source.dataset))
    if isinstance(source, (str, os.PathLike)):
        return _from_path(given_path(which, source))
    if isinstance(getattr(source, "manifest", None), Mapping) and "projected" in source.manifest:
        raise SpecError(f"{which} is a {type(source).__name__}: {_PROJECTED}")
    raise SpecError(
        f"{which} is a {type(source).__name__}",
        hint=(
            "give a Result, a Traffic, what a sweep gave, or the path of a saved one or of a report's folder"
        ),
    )


_PROJECTED = (
    "it was projected, which is computed and never measured, so no measurement is compared with it; "
    "compare the traffic that it was computed from"
)


def match(a: ComparisonInput, b: ComparisonInput) -> tuple[list[Pair], dict[str, list[str]]]:
    """Match measurements: of one probe the first with the first, the second with the second, and so on.

    Returns
    -------
    pairs : list of Pair
    only : dict
        Names without a counterpart, by the side, ``"a"`` or ``"b"``, that has them.

    Raises
    ------
    SpecError
        If one is a report and the other is not, or both are single and of different kinds.
    """
    if a.is_report != b.is_report:
        one, other = ("a", "b") if a.is_report else ("b", "a")
        raise SpecError(f"{one} is a report and {other} one measurement", hint="give two of a kind")
    numbered_a, numbered_b = _numbered(a), _numbered(b)
    if not a.is_report and numbered_a.keys() != numbered_b.keys():
        kinds = " and b of ".join(name for each in (a, b) for name in each.measured)
        raise SpecError(f"a is of {kinds}: they measure different things, so give two of one probe")
    pairs = [
        Pair(name, a.measured[name], b.measured[numbered_b[key]])
        for key, name in numbered_a.items()
        if key in numbered_b
    ]
    return pairs, {
        "a": [name for key, name in numbered_a.items() if key not in numbered_b] + [*a.unread],
        "b": [name for key, name in numbered_b.items() if key not in numbered_a] + [*b.unread],
    }


def _numbered(report: ComparisonInput) -> dict[tuple[tuple[type, str], int], str]:
    """Return the names by kind and number within the kind, from 0."""
    counts: Counter[tuple[type, str]] = Counter()
    names = {}
    for name, measured in report.measured.items():
        kind = type(measured), _kind(measured)
        names[kind, counts[kind]] = name
        counts[kind] += 1
    return names


def _kind(measured: Measurement) -> str:
    if isinstance(measured, Result):
        return plain(measured.probe, keep="")
    return f"traffic by {measured.source}"


def _one(name: str, measured: Measurement) -> ComparisonInput:
    return ComparisonInput(name, {_kind(measured): measured})


def _from_path(place: Path) -> ComparisonInput:
    name = plain(str(place), keep="")
    if _is_measured(place):
        return _one(name, _load(place))
    if not (place / "data").is_dir() and not (place / MANIFEST).is_file():
        raise SpecError(
            f"{str(place)!r} holds no result, no traffic and no report",
            hint="give a directory that Result.save, Traffic.save, a sweep or `fame-lab report` wrote",
        )
    directories = _entries(place / "data")
    readable = [path for path in directories if _is_measured(path)]
    unread = tuple(f"{path.name}, which is not compared" for path in directories if path not in readable)
    measured = {path.name: _load(path) for path in readable}
    return ComparisonInput(name, measured, ReportManifest.read(place).to_dict(), True, unread)


def _entries(place: Path) -> list[Path]:
    if not place.is_dir():  # a notebook that measured nothing
        return []
    # No link: it could lead out of the folder, which may be a stranger's.
    entries = [
        (int(match[1]), path)
        for path in place.iterdir()
        if (match := _KEPT.fullmatch(path.name)) and path.is_dir() and not path.is_symlink()
    ]
    if len(entries) > _MAX_RESULTS:
        raise SpecError(f"{str(place)!r} holds {len(entries)} results: at most {_MAX_RESULTS} are compared")
    return [path for _, path in sorted(entries)]


def _is_measured(place: Path) -> bool:
    return any((place / name).is_file() for name in (_RESULT, _TRAFFIC, _SWEEP))


def _load(place: Path) -> Measurement:
    if (place / _SWEEP).is_file():
        return _swept(Sweep.load(place).dataset)
    measurement = Traffic.load(place) if (place / _TRAFFIC).is_file() else Result.load(place)
    return _checked(measurement, str(place))


def _swept(dataset: xr.Dataset) -> Result:
    """Return a sweep's points as one result, with the fields that all their manifests share."""
    texts = dataset["manifest"].values.ravel().tolist() if "manifest" in dataset.coords else []
    try:
        manifests = [dict(json.loads(each)) for each in dict.fromkeys(texts) if each]
    except (ValueError, TypeError, RecursionError) as error:
        raise SpecError(f"the manifests of a sweep's points cannot be read: {error}") from error
    first = manifests[0] if manifests else {}
    same = {key: value for key, value in first.items() if all(each.get(key) == value for each in manifests)}
    swept = Result(f"sweep of {dataset.attrs['probe']}", dataset, same)
    _checked(swept, "a sweep")
    return swept


def _checked(measured: Measurement, where: str) -> Measurement:
    if "projected" in measured.manifest:
        raise SpecError(f"{where}: {_PROJECTED}")
    return measured
