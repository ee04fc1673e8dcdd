"""Check numbers as users give them: Python's, numpy's and others; a bool is none."""

from __future__ import annotations

import itertools
import math
import numbers
import operator
from typing import Any

from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError

__all__ = ["as_python", "check_number", "check_seconds", "check_whole", "real", "whole"]

#: Seconds: 31 years, which every clock and lock can count.
_LONGEST = 10**9
#: Nobody takes as many values: a longer range is refused even after it was cut.
_MAX_RANGE = 20_000


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


def real(value: object) -> float | None:
    """Return a finite number of any type as an int or a float, and None for anything else.

    Examples
    --------
    >>> import numpy as np
    >>> real(np.float32(0.5)), real(np.int64(2)), real(float("nan")), real("2")
    (0.5, 2, None, None)
    """
    value = _single(value)
    if (count := whole(value)) is not None:
        return count
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) else None


def as_python(value: Any) -> Any:
    """Return numbers and arrays of numpy's, and sequences of them, as Python's own; the rest as it is.

    Examples
    --------
    >>> import numpy as np
    >>> as_python(np.arange(2)), as_python((np.uint8(1), "4K"))
    ([0, 1], (1, '4K'))
    """
    if hasattr(value, "dtype"):
        value = getattr(value, "values", value)  # of xarray's and pandas'
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, range):
        return list(itertools.islice(value, _MAX_RANGE))
    if isinstance(value, list):
        return [as_python(each) for each in value]
    if isinstance(value, tuple):
        return tuple(as_python(each) for each in value)
    return value if (number := whole(value)) is None else number


def check_whole(name: str, value: object, least: int, most: int) -> int:
    """Return a whole number as Python's own.

    Raises
    ------
    SpecError
        If it is none from `least` to `most`.
    """
    number = whole(value)
    if number is None or not least <= number <= most:
        raise SpecError(f"{name} is {quoted(value)}", hint=f"give a whole number from {least} to {most}")
    return number


def check_number(name: str, value: object, least: float, most: float, unit: str = "") -> float:
    """Return a number as Python's own: an int if it is whole by its type, else a float.

    Raises
    ------
    SpecError
        If it is none from `least` to `most`.
    """
    number = real(value)
    if number is None or not least <= number <= most:
        what = unit or "a number"
        raise SpecError(f"{name} is {quoted(value)}", hint=f"give {what} from {least:g} to {most:g}")
    return number


def check_seconds(name: str, value: object) -> float:
    """Return a time as Python's own number.

    Raises
    ------
    SpecError
        If it is none above 0.
    """
    seconds = real(value)
    if seconds is None or not 0 < seconds <= _LONGEST:
        raise SpecError(f"{name} is {quoted(value)}", hint=f"give seconds, above 0 and up to {_LONGEST:,}")
    return seconds


def _single(value: Any) -> Any:
    """Return the one element of an array without dimensions, and anything else as it is."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return value
