"""Options as QEMU reads them: ``-object`` and ``-device`` in either of their two forms, sizes, booleans.

They are ``key=value`` by commas, of which two stand for one within a value, or JSON. The tests compare this
reader with QEMU itself. Nothing is expanded, followed or evaluated.
"""

from __future__ import annotations

import json
import re
from fractions import Fraction
from typing import Any

from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import MAX_FILE_SIZE
from fame_lab.errors import SpecError

__all__ = ["escaped", "is_on", "options", "size"]

#: QEMU's booleans, which have to be in lower case.
_BOOLEANS = dict.fromkeys(("on", "yes", "true", "y"), True) | dict.fromkeys(
    ("off", "no", "false", "n"), False
)
_SUFFIXES = {letter: 10 * power for power, letter in enumerate("BKMGTPE")}
_HEX = re.compile(r"\s*\+?0[xX]([0-9a-fA-F]{1,16})([KMGTPkmgtp]?)", re.ASCII)
#: QEMU takes a number without digits before the point from 8.1 on.
_DECIMAL = re.compile(r"\s*\+?(?=\.?[0-9])([0-9]{0,20})(?:\.([0-9]{0,40}))?([BKMGTPEbkmgtpe]?)", re.ASCII)
#: A text in JSON; QEMU takes single quotes as well.
_TEXT = re.compile(r"""("(?:[^"\\]|\\.)*")|'((?:[^'\\]|\\.)*)'""")


def escaped(value: object) -> str:
    """Return a value as QEMU reads it among others, each comma doubled.

    Examples
    --------
    >>> escaped("/home/a,b")
    '/home/a,,b'
    """
    return str(value).replace(",", ",,")


def options(text: str, kind: str) -> dict[str, Any]:
    """Read the argument of ``-object`` or ``-device``.

    Parameters
    ----------
    text : str
    kind : str
        The key of the first word where it has none: ``qom-type`` or ``driver``.

    Returns
    -------
    dict
        Texts by key; of JSON, its values. A word alone is ``on``, and ``off`` if it begins with ``no``.

    Raises
    ------
    SpecError
        If it is JSON that QEMU cannot read.

    Examples
    --------
    >>> options("memory-backend-file,id=a,,b,share", "qom-type")
    {'qom-type': 'memory-backend-file', 'id': 'a,b', 'share': 'on'}
    """
    return _of_json(text) if text.startswith("{") else _of_words(text, kind)


def _of_words(text: str, kind: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    # A comma within a value is written twice, and no option can have a zero byte.
    for place, word in enumerate(text.replace(",,", "\0").split(",")):
        key, equals, value = word.partition("=")
        if not equals:
            if place == 0:
                key, value = kind, word
            elif word.startswith("no"):
                key, value = word[2:], "off"
            else:
                value = "on"
        if key != "id" or "id" not in fields:  # the first id counts, and the last of any other key
            fields[key] = value.replace("\0", ",")
    return fields


def _of_json(text: str) -> dict[str, Any]:
    try:
        return dict(
            json.loads(_TEXT.sub(_double_quoted, text), object_pairs_hook=_once, parse_constant=_refuse)
        )
    except (ValueError, RecursionError) as error:
        raise SpecError(f"QEMU cannot read {quoted(text)} as JSON: {quoted(str(error))}") from error


def _double_quoted(match: re.Match[str]) -> str:
    return match[1] or '"' + match[2].replace("\\'", "'").replace('"', '\\"') + '"'


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a key is there twice")
    return fields


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def is_on(value: object, name: str) -> bool:
    """Read a boolean.

    Raises
    ------
    SpecError
        If it is no boolean to QEMU.
    """
    flag = value if isinstance(value, bool) else _BOOLEANS.get(value) if isinstance(value, str) else None
    if flag is None:
        raise SpecError(f"{name} is {quoted(value)}: QEMU takes on or off")
    return flag


def size(value: object, name: str) -> int:
    """Read a size in bytes.

    Raises
    ------
    SpecError
        If it is no size to QEMU.

    Examples
    --------
    >>> size("0x100000", "size"), size("1.5k", "size"), size(4096, "size")
    (1048576, 1536, 4096)
    """
    number: Fraction | int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and (match := _HEX.fullmatch(value)):
        number = int(match[1], 16) << _SUFFIXES[match[2].upper() or "B"]
    elif isinstance(value, str) and (match := _DECIMAL.fullmatch(value)):
        shift = _SUFFIXES[match[3].upper() or "B"]
        fraction = Fraction(int(match[2] or "0"), 10 ** len(match[2] or ""))
        # A byte has no parts.
        number = None if fraction and not shift else int((int(match[1] or "0") + fraction) * (1 << shift))
    if number is None or not 0 <= number <= MAX_FILE_SIZE:
        raise SpecError(f"{name} is {quoted(value)}: QEMU takes bytes, or a number with K, M, G or T")
    return int(number)
