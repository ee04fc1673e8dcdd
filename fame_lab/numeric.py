"""Numbers as users give them: Python's own, numpy's, and whatever else is one; a bool is none."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

from fame_lab.errors import SpecError
from fame_lab.quoting import quoted

__all__ = ["check_number", "check_whole", "number", "whole"]


def whole(value: object) -> int | None:
    """Return a whole number of any type as Python's own, and None for anything else.

    Examples
    --------
    >>> import numpy as np
    >>> whole(np.uint8(4)), whole(True), whole(4.0), whole("4")
    (4, None, None, None)
    """
    value = _single(value)
    if isinstance(value, bool):  # which Python counts as a whole number
        return None
    try:
        return int(operator.index(value))  # type: ignore[arg-type] # that is the question
    except TypeError:
        return None


def number(value: object) -> float | None:
    """Return a finite number of any type as an int or a float, and None for anything else.

    Examples
    --------
    >>> import numpy as np
    >>> number(np.float32(0.5)), number(np.int64(2)), number(float("nan")), number("2")
    (0.5, 2, None, None)
    """
    value = _single(value)
    if (found := whole(value)) is not None:
        return found
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    try:
        real = float(value)
    except (OverflowError, ValueError):
        return None
    return real if math.isfinite(real) else None


def check_whole(name: str, value: object, least: int, most: int) -> int:
    """Return a whole number as Python's own.

    Raises
    ------
    SpecError
        If it is none from `least` to `most`.
    """
    found = whole(value)
    if found is None or not least <= found <= most:
        raise SpecError(f"{name} is {quoted(value)}: give a whole number from {least} to {most}")
    return found


def check_number(name: str, value: object, least: float, most: float, unit: str = "") -> float:
    """Return a number as Python's own: an int if it is whole by its type, else a float.

    Raises
    ------
    SpecError
        If it is none from `least` to `most`.
    """
    found = number(value)
    if found is None or not least <= found <= most:
        what = unit or "a number"
        raise SpecError(f"{name} is {quoted(value)}: give {what} from {least:g} to {most:g}")
    return found


def _single(value: Any) -> Any:
    """Return the one element of an array without dimensions, and anything else as it is."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return value
