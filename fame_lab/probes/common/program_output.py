"""Parse the probe program's output: one JSON object a line, from a guest that is not trusted."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from fame_lab.errors import ProbeError

__all__ = ["OutputRecord", "parse_output"]

MAX_LINES = 1000
MAX_LINE = 1 << 16
MAX_LIST = 4096
MAX_TEXT = 256

_EXCERPT = 120


def parse_output(output: str, node: str) -> list[dict[str, Any]]:
    """Read the lines that the probe program wrote.

    Parameters
    ----------
    output : str
        What came from the node.
    node : str
        Its name, for the message.

    Returns
    -------
    list of dict
        One a line. Keys are distinct; values are text, integers of 64 bits, finite numbers, booleans,
        None, or lists of these. Nothing is deeper.

    Raises
    ------
    ProbeError
        If a line is anything else, or there are too many or too long ones; it shows the line.
    """
    if not output:
        return []
    lines = output.removesuffix("\n").split("\n")
    if len(lines) > MAX_LINES:
        raise ProbeError(f"{node}: the probe wrote {len(lines)} lines, more than the {MAX_LINES} it may")
    return [_object(line, node) for line in lines]


def _object(line: str, node: str) -> dict[str, Any]:
    try:
        if len(line) > MAX_LINE:
            raise ValueError(f"it is longer than {MAX_LINE} characters")
        record = json.loads(line, object_pairs_hook=_distinct, parse_constant=_no_constant)
        if not isinstance(record, dict):
            raise ValueError("it is not a JSON object")
        for key, value in record.items():
            _check(key, value)
    except (ValueError, RecursionError) as error:
        raise ProbeError(f"{node}: the probe wrote {_short(line)}, which cannot be used: {error}") from error
    return record


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is there twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a finite number")


def _check(key: str, value: object) -> None:
    if len(key) > MAX_TEXT:
        raise ValueError(f"a key is longer than {MAX_TEXT} characters")
    items = value if isinstance(value, list) else [value]
    if not all(map(_can_be_written, (key, *items))):
        raise ValueError("it has half a letter, which nobody can write down")
    if len(items) > MAX_LIST:
        raise ValueError(f"{key!r} has more than {MAX_LIST} items")
    for item in items:
        if isinstance(item, (dict, list)):
            raise ValueError(f"{key!r} is nested")
        if isinstance(item, str) and len(item) > MAX_TEXT:
            raise ValueError(f"{key!r} is longer than {MAX_TEXT} characters")
        if isinstance(item, int) and not -(1 << 63) <= item < 1 << 64:
            raise ValueError(f"{key!r} does not fit in 64 bits")
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError(f"{key!r} is not a finite number")


def _can_be_written(value: object) -> bool:
    """Return whether it is no text with a lone surrogate, which JSON can hold and UTF-8 cannot."""
    return not isinstance(value, str) or not any("\ud800" <= each <= "\udfff" for each in value)


def _short(value: object) -> str:
    text = repr(value if not isinstance(value, str) else value[: _EXCERPT + 1])
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"


@dataclass(frozen=True)
class OutputRecord:
    """The members of one line, each read by its name and checked.

    Every method raises ProbeError, naming the node, the member and its value, if it is something else.

    Parameters
    ----------
    line : dict
        As :func:`parse_output` gives it.
    node : str
        The node's name, for the message.
    """

    line: dict[str, Any]
    node: str

    def integer(self, name: str, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        return self._integer(name, self._get(name), low, high)

    def integers(self, name: str, length: int, low: int, high: int) -> list[int]:
        """Return `length` whole numbers from `low` to `high`."""
        items = self._get(name)
        if not isinstance(items, list) or len(items) != length:
            self._refuse(name, items, f"a list of {length}")
        return [self._integer(name, item, low, high) for item in items]

    def number(self, name: str, low: float, high: float) -> float:
        """Return a number from `low` to `high`."""
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            self._refuse(name, value, f"a number from {low:g} to {high:g}")
        return float(value)

    def choice(self, name: str, allowed: Sequence[str]) -> str:
        """Return a text that is one of those allowed."""
        value = self._get(name)
        if not isinstance(value, str) or value not in allowed:
            self._refuse(name, value, " or ".join(allowed))
        return value

    def mapping(self) -> str:
        """Return the effective memory type of FAM's mapping; ``"unknown"`` where the kernel does not tell."""
        value = self._get("mapping")
        if value is None:
            return "unknown"
        if not isinstance(value, str) or not re.fullmatch(r"[a-z-]{1,23}", value):
            self._refuse("mapping", value, "a memory type")
        return value

    def _get(self, name: str) -> Any:
        if name not in self.line:
            raise ProbeError(
                f"{self.node}: the probe wrote {_short(self.line)}, in which {name!r} is missing"
            )
        return self.line[name]

    def _integer(self, name: str, value: object, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self._refuse(name, value, f"a whole number from {low} to {high}")
        return value

    def _refuse(self, name: str, value: object, expected: str) -> NoReturn:
        raise ProbeError(f"{self.node}: the probe gave {name!r} as {_short(value)}, and not as {expected}")
