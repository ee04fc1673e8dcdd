"""What a probe can be told: read from its ``run``, for faces that ask for it by text."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import dataclass
from typing import Any

from fame_lab.core import above
from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError

__all__ = ["Parameter", "parameters", "value"]

# NumPy's style, as far as this package uses it; numpydoc reads all of it, and brings Sphinx for that.
_SECTION = re.compile(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^(\w[\w, ]*) : ([^\n]*)\n((?:    [^\n]*(?:\n|\Z)|\n)*)", re.MULTILINE)

# Sphinx's: roles, and names in backquotes.
_MARKUP = re.compile(r"(?::\w+:)?`+~?([^`]*)`+")

#: JSON has numbers and text, and no sense beyond these.
_NUMBERS = {"int": "a whole number", "float": "a number"}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a probe.

    Parameters
    ----------
    name : str
    default : object
    kind : str
        What it takes, in the docstring's words.
    words : str
        What it means.
    annotation : str
        Its type, in the signature's words.
    """

    name: str
    default: Any
    kind: str
    words: str
    annotation: str

    @property
    def text(self) -> str:
        """The default as one would type it; empty where the probe chooses."""
        if self.default is None:
            return ""
        listed = isinstance(self.default, (list, tuple))
        return ",".join(map(str, self.default)) if listed else str(self.default)

    def read(self, text: str) -> Any:
        """Return the value that is typed; the default if nothing is.

        Raises
        ------
        SpecError
            If it is no number where there must be one.
        """
        text = text.strip()
        if not text:
            return self.default
        if self.annotation == "str":
            return text
        found = value(text)
        wanted = _NUMBERS.get(self.annotation)
        if wanted and (isinstance(found, bool) or not isinstance(found, (int, float))):
            raise SpecError(f"{self.name} is {quoted(text)}: give {wanted}")
        return found


def parameters(probe: str) -> list[Parameter]:
    """List what a probe can be told, in the order of its signature.

    Raises
    ------
    SpecError
        If there is no such probe.

    Examples
    --------
    >>> [each.name for each in parameters("timer")]
    ['nodes', 'mapping', 'batches', 'batch_ms', 'seconds']
    """
    run = above.load("probes").family(probe).run
    section = _SECTION.search(inspect.getdoc(run) or "")
    told = {
        name.strip(): (kind, _MARKUP.sub(r"\1", " ".join(words.split())))
        for names, kind, words in _ENTRY.findall(section[1] if section else "")
        for name in names.split(",")
    }
    return [
        Parameter(name, each.default, *told.get(name, ("", "")), str(each.annotation))
        for name, each in list(inspect.signature(run).parameters.items())[1:]
    ]


def value(text: str) -> Any:
    """Read a value as it is typed: JSON, or text; several are parted by commas.

    Examples
    --------
    >>> value("30"), value("4K,64K"), value("uc")
    (30, ['4K', '64K'], 'uc')
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # of a thousand brackets
        return [value(part.strip()) for part in text.split(",")] if "," in text else text
