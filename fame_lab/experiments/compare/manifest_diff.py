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
#: The most telling fields come first.
_ORDER = (
    "stopped", "host", "accelerator", "mapping", "image", "versions", "notebook", "sha256",
    "spec", "parameters", "seed",
)  # fmt: skip
#: It has hundreds of entries, and hardly one matters.
_LAST = "packages"
#: These differ between any two runs, are measured themselves, or copy another field.
_LEFT_OUT = {"time", "timer", "probe", "format", "results", "commands", "missing", "figures"}
#: A lab's name, often with a process's number, changes nothing in it.
_NAMES = {("spec", "name")}
_DEPTH = 5


@dataclass(frozen=True)
class Difference:
    """One field that differs between two manifests.

    Parameters
    ----------
    what : str
        Its place in the manifest, such as ``accelerator.kind``.
    a, b : object
        The value on either side; ``"not told"`` if there is none.
    where : tuple of str
        The results that differ in it; empty if all do, or the reports themselves.
    """

    what: str
    a: Any
    b: Any
    where: tuple[str, ...] = ()

    @property
    def sides(self) -> tuple[str, str]:
        """The value on either side, in words."""
        return _shown(self.a), _shown(self.b)

    def __str__(self) -> str:
        only = f" (in {', '.join(self.where)})" if self.where else ""
        return plain(f"{self.what}: {' | '.join(self.sides)}{only}", keep="")

    def to_dict(self) -> dict[str, Any]:
        """Return its fields as values that JSON can hold."""
        return {"what": self.what, "a": self.a, "b": self.b, "where": list(self.where)}


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """Compare two manifests, leaf by leaf, the most telling first.

    Examples
    --------
    >>> items = differences({"mapping": "write-back", "time": 1}, {"mapping": "uncached", "time": 2})
    >>> [str(each) for each in items]
    ['mapping: write-back | uncached']
    """
    leaves_a, leaves_b = _leaves_of(a), _leaves_of(b)
    return sort(
        Difference(".".join(path), leaves_a.get(path, _UNTOLD), leaves_b.get(path, _UNTOLD))
        for path in dict.fromkeys((*leaves_a, *leaves_b))
        if not _same(leaves_a.get(path, _UNTOLD), leaves_b.get(path, _UNTOLD))
    )


def sort(items: Iterable[Difference]) -> list[Difference]:
    """Put the most telling first: host, accelerator, mapping, and so on."""
    return sorted(items, key=lambda each: _rank(each.what))


def merged(by_result: Sequence[tuple[str, Sequence[Difference]]]) -> list[Difference]:
    """Merge equal differences of several results; each result comes with its name."""
    where: dict[tuple[str, str], list[str]] = {}
    first: dict[tuple[str, str], Difference] = {}
    for name, each_of in by_result:
        for each in each_of:
            key = (each.what, json.dumps([each.a, each.b]))
            first.setdefault(key, each)
            where.setdefault(key, []).append(name)
    return sort(
        Difference(each.what, each.a, each.b, () if len(where[key]) == len(by_result) else tuple(where[key]))
        for key, each in first.items()
    )


def _leaves_of(manifest: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    fields = {str(key): value for key, value in manifest.items() if key not in _LEFT_OUT}
    probe, parameters = manifest.get("probe"), manifest.get("parameters")
    if isinstance(probe, str) and isinstance(parameters, dict):
        fields["parameters"] = saved_parameters(probe, parameters)
    # As JSON has it once saved, where tuples are lists.
    saved = json.loads(json.dumps(fields, default=str))
    leaves = (leaf for key, value in saved.items() for leaf in _leaves(value, (key,)))
    return {path: leaf for path, leaf in leaves if path not in _NAMES}


def _leaves(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(tree, dict) and tree and len(path) < _DEPTH:
        for key, value in tree.items():
            yield from _leaves(value, (*path, key))
    else:
        yield path, tree


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) or (a != a and b != b)  # Python's JSON has NaN


def _rank(what: str) -> int:
    first = what.partition(".")[0]
    return _ORDER.index(first) if first in _ORDER else len(_ORDER) + (first == _LAST)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and 0 < len(value) <= 60 else quoted(value, 60)
