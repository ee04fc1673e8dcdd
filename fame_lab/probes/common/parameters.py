"""The parameters of a probe, read from its ``run``, for faces that take them as text."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fame_lab.core import above
from fame_lab.errors import SpecError
from fame_lab.probes.common.constraints import Choice
from fame_lab.probes.common.declaration import Declaration, current_names, declarations

__all__ = ["Parameter", "parameters", "saved_parameters", "value"]

# NumPy's style, as far as this package uses it; numpydoc reads all of it, and brings Sphinx for that.
_SECTION = re.compile(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^(\w[\w, ]*) : ([^\n]*)\n((?:    [^\n]*(?:\n|\Z)|\n)*)", re.MULTILINE)

# Sphinx's: roles, and names in backquotes.
_MARKUP = re.compile(r"(?::\w+:)?`+~?([^`]*)`+")


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
    declaration : Declaration
        Its type, and which values it can have.
    """

    name: str
    default: Any
    kind: str
    words: str
    declaration: Declaration

    @property
    def takes(self) -> str:
        """What to give: the range and its unit, or the choices; without either, the docstring's words."""
        return str(self.declaration.constraint or self.kind)

    @property
    def choices(self) -> list[str]:
        """The values that it can have, as one types them; empty if they are not listed."""
        constraint = self.declaration.constraint
        return [str(each) for each in constraint.values] if isinstance(constraint, Choice) else []

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
            If the probe would refuse it, whatever the lab.
        """
        text = text.strip()
        if not text:
            return self.default
        argument = text if self.declaration.type is str else value(text)
        self.declaration.read(self.declaration.from_text(argument))
        return argument


def parameters(probe: str) -> list[Parameter]:
    """List the parameters of a probe, in the order of its signature.

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
    docs = {
        name.strip(): (kind, _MARKUP.sub(r"\1", " ".join(words.split())))
        for names, kind, words in _ENTRY.findall(section[1] if section else "")
        for name in names.split(",")
    }
    declared = declarations(run)
    return [
        Parameter(name, each.default, *docs.get(name, ("", "")), declared[name])
        for name, each in list(inspect.signature(run).parameters.items())[1:]
    ]


def saved_parameters(probe: str, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return saved parameters of a probe, an older version's too, by their current names."""
    try:
        return current_names(saved, declarations(above.load("probes").family(probe).run))
    except SpecError:  # no probe of ours, and as it is
        return dict(saved)


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
