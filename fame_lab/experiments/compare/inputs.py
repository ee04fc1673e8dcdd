"""The inputs of a comparison: one measurement, or those of a report. Folders may be a stranger's."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
    """One of the two that are compared.

    Parameters
    ----------
    name : str
        The path, or what it is.
    measured : dict of str to Result or Traffic
        By a name of its own, in the order of making.
    told : dict
        Of a report, what its manifest says of it as a whole.
    is_report : bool
        Whether it is a report, of however many.
    unread : tuple of str
        What a report holds and is no result, no traffic and no sweep.
    """

    name: str
    measured: dict[str, Measurement]
    told: dict[str, Any] = field(default_factory=dict)
    is_report: bool = False
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """Two measurements that answer to each other.

    Parameters
    ----------
    name : str
        What both are called.
    a, b : Result or Traffic
    """

    name: str
    a: Measurement
    b: Measurement


def load_input(given: Any, which: str) -> ComparisonInput:
    """Take what was given to be compared.

    Parameters
    ----------
    given : Result, Traffic, Sweep or its Dataset, or path
        Of a saved result, of saved traffic, of a sweep, or of a report's folder.
    which : {"a", "b"}
        For messages.

    Raises
    ------
    SpecError
        If it is something else, cannot be read, or holds what was computed and not measured.
    TrafficError
        If it is saved traffic that cannot be right.
    """
    if isinstance(given, Measurement):
        found = _one(which, _checked(given, which))
    elif isinstance(given, xr.Dataset) and "probe" in given.attrs:
        found = _one(which, _swept(given))
    elif isinstance(given, Sweep):
        found = _one(which, _swept(given.dataset))
    elif isinstance(given, (str, os.PathLike)):
        found = _from_path(given_path(which, given))
    elif isinstance(getattr(given, "manifest", None), Mapping) and "projected" in given.manifest:
        raise SpecError(f"{which} is a {type(given).__name__}: {_PROJECTED}")
    else:
        raise SpecError(
            f"{which} is a {type(given).__name__}: give a Result, a Traffic, what a sweep gave, "
            "or the path of a saved one or of a report's folder"
        )
    return found


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
        Names of what has no counterpart, by the side, ``"a"`` or ``"b"``, that has it.

    Raises
    ------
    SpecError
        If one is a report and the other is not, or both are single and of different kinds.
    """
    if a.is_report != b.is_report:
        one, other = ("a", "b") if a.is_report else ("b", "a")
        raise SpecError(f"{one} is a report and {other} one measurement: give two of a kind")
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
    """Return the names by kind, and how many of that kind came before."""
    seen: Counter[tuple[type, str]] = Counter()
    found = {}
    for name, measured in report.measured.items():
        kind = type(measured), _kind(measured)
        found[kind, seen[kind]] = name
        seen[kind] += 1
    return found


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
            f"{str(place)!r} holds no result, no traffic and no report: give a directory that "
            "Result.save, Traffic.save, a sweep or `fame-lab report` wrote"
        )
    kept = _kept(place / "data")
    known = [path for path in kept if _is_measured(path)]
    manifest = ReportManifest.read(place).to_dict()
    unread = tuple(f"{path.name}, which is not compared" for path in kept if path not in known)
    return ComparisonInput(name, {path.name: _load(path) for path in known}, manifest, True, unread)


def _kept(place: Path) -> list[Path]:
    if not place.is_dir():  # a notebook that measured nothing
        return []
    # No link: it could lead out of the folder, which a stranger may have made.
    found = [
        (int(match[1]), path)
        for path in place.iterdir()
        if (match := _KEPT.fullmatch(path.name)) and path.is_dir() and not path.is_symlink()
    ]
    if len(found) > _MAX_RESULTS:
        raise SpecError(f"{str(place)!r} holds {len(found)} results: at most {_MAX_RESULTS} are compared")
    return [path for _, path in sorted(found)]


def _is_measured(place: Path) -> bool:
    return any((place / name).is_file() for name in (_RESULT, _TRAFFIC, _SWEEP))


def _load(place: Path) -> Measurement:
    if (place / _SWEEP).is_file():
        return _swept(Sweep.load(place).dataset)
    held = Traffic.load(place) if (place / _TRAFFIC).is_file() else Result.load(place)
    return _checked(held, str(place))


def _swept(dataset: xr.Dataset) -> Result:
    """Take a sweep's points as one result, made as all its points were."""
    told = dataset["manifest"].values.ravel().tolist() if "manifest" in dataset.coords else []
    try:
        manifests = [dict(json.loads(each)) for each in dict.fromkeys(told) if each]
    except (ValueError, TypeError, RecursionError) as error:
        raise SpecError(f"the manifests of a sweep's points cannot be read: {error}") from error
    first = manifests[0] if manifests else {}
    same = {key: held for key, held in first.items() if all(each.get(key) == held for each in manifests)}
    swept = Result(f"sweep of {dataset.attrs['probe']}", dataset, same)
    _checked(swept, "a sweep")
    return swept


def _checked(measured: Measurement, where: str) -> Measurement:
    if "projected" in measured.manifest:
        raise SpecError(f"{where}: {_PROJECTED}")
    return measured
