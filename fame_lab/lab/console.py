"""A node's serial console: read as it is, and its last line cleaned for display."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["last_line", "tail"]

#: Bytes that are read at most; a guest may write for as long as it likes.
TAIL = 1 << 16
_MAX_SHOWN = 160
# ECMA-48: control sequences, then other escapes of two characters.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-_]?")


def tail(path: Path, most: int = TAIL) -> str:
    """Return the last `most` bytes of a console's file as text; nothing if there is none yet."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            return file.read(most).decode(errors="replace")
    except FileNotFoundError:
        return ""


def last_line(text: str) -> str:
    r"""Return the last line that says anything, without what would move a terminal's cursor.

    Examples
    --------
    >>> last_line("booting\r\n\x1b[1;32mlogin:\x1b[0m \r\n\r\n")
    'login:'
    """
    for line in reversed(re.split(r"[\r\n]+", _ESCAPES.sub("", text))):
        plain = "".join(character for character in line if character.isprintable()).strip()
        if plain:
            return plain if len(plain) <= _MAX_SHOWN else plain[: _MAX_SHOWN - 1] + "…"
    return ""
