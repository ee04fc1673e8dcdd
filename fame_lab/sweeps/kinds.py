"""Whether a value can be a parameter's at all, by the annotation of the probe's ``run``."""

from __future__ import annotations

import collections.abc
import math
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from fame_lab import probes

__all__ = ["fits", "hints", "takes_several"]


def hints(probe: str) -> dict[str, Any]:
    """Give the types that the parameters of a probe have, by their names.

    Raises
    ------
    SpecError
        If there is no such probe.

    Examples
    --------
    >>> hints("timer")["batches"]
    <class 'int'>
    """
    # Both are imported for a type checker only, and no parameter.
    found = get_type_hints(probes.family(probe).run, localns={"Lab": object, "Result": object})
    return {name: kind for name, kind in found.items() if name not in ("lab", "return")}


def takes_several(kind: Any) -> bool:
    """Say whether a parameter of that type takes several values, too."""
    return get_origin(kind) is collections.abc.Sequence or any(map(takes_several, _choices(kind)))


def fits(value: object, kind: Any) -> bool:
    """Say whether a value is of a type; one value stands for several, as a probe takes it.

    Examples
    --------
    >>> fits(3, int), fits("many", int), fits(True, int)
    (True, False, False)
    """
    if choices := _choices(kind):
        return any(fits(value, choice) for choice in choices)
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is collections.abc.Sequence:
        several = value if isinstance(value, (list, tuple)) else [value]
        return all(fits(each, get_args(kind)[0]) for each in several)
    if isinstance(value, bool):  # which Python counts as a whole number
        return kind is bool
    if isinstance(value, float) and kind is int:
        return value.is_integer()
    if kind is float:
        return isinstance(value, (int, float)) and math.isfinite(value)
    return isinstance(value, kind)


def _choices(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else ()
