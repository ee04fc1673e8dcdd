"""The difference of two manifests, which comes before any number."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fame_lab.core.sanitize import plain, quoted
from fame_lab.probes.common.parameters import saved_parameters

__all__ = ["Difference", "differences", "merged", "sort"]

_UNTOLD = "not told"
#: What explains most comes first.
_ORDER = (
    "stopped", "host", "accelerator", "mapping", "image", "versions", "notebook", "sha256",
    "spec", "parameters", "seed",
)  # fmt: skip
#: Hundreds, of which hardly one matters.
_LAST = "packages"
#: These differ between any two runs, or are measured themselves, or are another's copy.
_LEFT_OUT = {"time", "timer", "probe", "format", "results", "commands", "missing", "figures"}
#: What a lab is called, often by a process's number, changes nothing in it.
_NAMES = {("spec", "name")}
_DEPTH = 5


@dataclass(frozen=True)
class Difference:
    """One thing that was not the same.

    Parameters
    ----------
    what : str
        Such as ``accelerator.kind``: where in the manifest it stands.
    a, b : object
        What either says; ``"not told"`` if it says nothing.
    where : tuple of str
        The results that it is so of; empty if of all, or of the reports themselves.
    """

    what: str
    a: Any
    b: Any
    where: tuple[str, ...] = ()

    @property
    def sides(self) -> tuple[str, str]:
        """What either says, in words."""
        return _shown(self.a), _shown(self.b)

    def __str__(self) -> str:
        only = f" (in {', '.join(self.where)})" if self.where else ""
        return plain(f"{self.what}: {' | '.join(self.sides)}{only}", keep="")

    def to_dict(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        return {"what": self.what, "a": self.a, "b": self.b, "where": list(self.where)}


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """Compare two manifests, leaf by leaf, the most telling first.

    Examples
    --------
    >>> found = differences({"mapping": "write-back", "time": 1}, {"mapping": "uncached", "time": 2})
    >>> [str(each) for each in found]
    ['mapping: write-back | uncached']
    """
    leaves_a, leaves_b = _leaves_of(a), _leaves_of(b)
    found = [
        Difference(".".join(path), leaves_a.get(path, _UNTOLD), leaves_b.get(path, _UNTOLD))
        for path in dict.fromkeys((*leaves_a, *leaves_b))
        if not _same(leaves_a.get(path, _UNTOLD), leaves_b.get(path, _UNTOLD))
    ]
    return sort(found)


def sort(found: Iterable[Difference]) -> list[Difference]:
    """Put the most telling first: where, on what, and how."""
    return sorted(found, key=lambda each: _rank(each.what))


def merged(found: Sequence[tuple[str, Sequence[Difference]]]) -> list[Difference]:
    """List once what differs alike in several results; each comes with its name."""
    where: dict[tuple[str, str], list[str]] = {}
    first: dict[tuple[str, str], Difference] = {}
    for name, each_of in found:
        for each in each_of:
            key = (each.what, json.dumps([each.a, each.b]))
            first.setdefault(key, each)
            where.setdefault(key, []).append(name)
    return sort(
        Difference(each.what, each.a, each.b, () if len(where[key]) == len(found) else tuple(where[key]))
        for key, each in first.items()
    )


def _leaves_of(manifest: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    kept = {str(key): value for key, value in manifest.items() if key not in _LEFT_OUT}
    probe, parameters = manifest.get("probe"), manifest.get("parameters")
    if isinstance(probe, str) and isinstance(parameters, dict):
        kept["parameters"] = saved_parameters(probe, parameters)
    # As it would be once saved, when tuples are lists.
    saved = json.loads(json.dumps(kept, default=str))
    leaves = (leaf for key, value in saved.items() for leaf in _leaves(value, (key,)))
    return {path: leaf for path, leaf in leaves if path not in _NAMES}


def _leaves(held: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(held, dict) and held and len(path) < _DEPTH:
        for key, value in held.items():
            yield from _leaves(value, (*path, key))
    else:
        yield path, held


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) or (a != a and b != b)  # JSON as Python writes it has NaN


def _rank(what: str) -> int:
    first = what.partition(".")[0]
    return _ORDER.index(first) if first in _ORDER else len(_ORDER) + (first == _LAST)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and 0 < len(value) <= 60 else quoted(value, 60)
