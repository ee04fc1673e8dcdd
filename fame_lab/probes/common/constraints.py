"""Constraints of a probe's parameters, declared beside their types in the signature of its ``run``.

``batches: Annotated[int, Range(30, 1000)]`` is read by the check, the panel, sweeps and the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from fame_lab.core.numeric import real, whole
from fame_lab.core.sizes import format_size, parse_size

__all__ = ["Choice", "Choices", "Constraint", "Multiple", "PowerOfTwo", "Range", "Several"]


class Constraint(Protocol):
    """What is declared of a parameter. As text it says what to give."""

    def read(self, value: Any, /) -> Any:
        """Return the value as the probe takes it; raise ValueError if it cannot be."""


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, which is whole if they are int.

    Parameters
    ----------
    low, high : int or float
    unit : str
    whole : bool
        Whether a float has to be whole all the same.

    Examples
    --------
    >>> str(Range(30, 1000)), str(Range(1.0, 1000.0, "milliseconds"))
    ('a whole number from 30 to 1000', '1 to 1000 milliseconds')
    """

    low: float
    high: float
    unit: str = ""
    whole: bool = False

    def __str__(self) -> str:
        span = f"{_figure(self.low)} to {_figure(self.high)}"
        if self.unit:
            return f"{span} {self.unit}{', whole ones' * self.whole}"
        return f"a {'whole ' * isinstance(self.low, int)}number from {span}"

    def read(self, value: Any) -> Any:
        """Return the number."""
        number = whole(value) if isinstance(self.low, int) else real(value)
        if number is None or not self.low <= number <= self.high or (self.whole and number != int(number)):
            raise ValueError
        return number


@dataclass(frozen=True)
class Multiple:
    """A size in bytes from `low` to `high`, such as 4096 or ``"4K"``, that is a multiple `of` so many.

    Examples
    --------
    >>> str(Multiple(64, 0)), Multiple(64).read("4K")
    ('a multiple of 64 bytes, 0 or more', 4096)
    """

    of: int
    low: int = 1
    high: int | None = None

    def __str__(self) -> str:
        span = "above 0" if self.low else "0 or more"
        if self.high:
            span = f"from {format_size(self.low)} to {format_size(self.high)}"
        return f"a multiple of {self.of} bytes, {span}"

    def read(self, value: Any) -> int:
        """Return the bytes."""
        size = parse_size(value)
        if size % self.of or size < self.low or (self.high and size > self.high):
            raise ValueError
        return size


@dataclass(frozen=True)
class PowerOfTwo:
    """A power of two from `low` to `high`."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"a power of two from {self.low} to {self.high}"

    def read(self, value: Any) -> int:
        """Return the number."""
        number = parse_size(value)
        if not self.low <= number <= self.high or number & (number - 1):
            raise ValueError
        return number


@dataclass(frozen=True, init=False)
class Choice:
    """One of some values; `why` gives the reason that another, which one might expect, is missing.

    Examples
    --------
    >>> str(Choice("uc", "wb")), str(Choice(8, 16))
    ('one of uc, wb', '8 or 16')
    """

    values: tuple[int | str, ...]
    why: str

    def __init__(self, *values: int | str, why: str = "") -> None:
        vars(self).update(values=values, why=why)

    def __str__(self) -> str:
        names = [str(value) for value in self.values]
        text = f"one of {', '.join(names)}" if isinstance(self.values[0], str) else " or ".join(names)
        return f"{text}; {self.why}" if self.why else text

    def read(self, value: Any) -> Any:
        """Return the value."""
        if type(value) not in (int, str) or value not in self.values:
            raise ValueError
        return value


@dataclass(frozen=True)
class Several:
    """A sequence of 1 to `most` values, each once."""

    each: Constraint
    most: int = 64

    def __str__(self) -> str:
        return f"1 to {self.most} values, each once, and each {self.each}"

    def read(self, value: Any) -> list[Any]:
        """Return the values."""
        values = [self.each.read(item) for item in value]
        if not 0 < len(values) <= self.most or len(set(values)) < len(values):
            raise ValueError
        return values


class Choices(Several):
    """A sequence of some of the values, each once."""

    def __init__(self, *values: str) -> None:
        super().__init__(Choice(*values), len(values))

    def __str__(self) -> str:
        names = str(self.each).removeprefix("one of ")
        return f"one or both of {names}" if self.most == 2 else f"some of {names}, each once"


def _figure(number: float) -> str:
    return "2^64-1" if number == 2**64 - 1 else f"{number:g}" if isinstance(number, float) else str(number)
