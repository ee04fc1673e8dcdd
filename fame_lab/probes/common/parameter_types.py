"""Check that a value can be a parameter's at all, by its declared type."""

from __future__ import annotations

import collections.abc
import types
from typing import Any, Literal, Union, get_args, get_origin

from fame_lab.core.numeric import real

__all__ = ["fits", "options", "takes_several", "type_name"]


def takes_several(kind: Any) -> bool:
    """Return whether a parameter of that type takes several values, too."""
    return get_origin(kind) is collections.abc.Sequence or any(map(takes_several, options(kind)))


def fits(value: object, kind: Any) -> bool:
    """Return whether a value is of a type; one value stands for several, as a probe takes it.

    Examples
    --------
    >>> fits(3, int), fits("many", int), fits(True, int)
    (True, False, False)
    """
    if either := options(kind):
        return any(fits(value, option) for option in either)
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if get_origin(kind) is collections.abc.Sequence:
        several = value if isinstance(value, (list, tuple)) else [value]
        return all(fits(each, get_args(kind)[0]) for each in several)
    if kind in (int, float):
        number = real(value)
        return number is not None and (kind is float or number == int(number))
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def options(kind: Any) -> tuple[Any, ...]:
    """Return the types of a union, and none of another type."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else ()


def type_name(kind: Any) -> str:
    """Return a type as one writes it."""
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("collections.abc.", "")
