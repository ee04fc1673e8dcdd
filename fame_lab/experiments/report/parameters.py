"""A notebook's parameters: listed, and replaced by other values."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import nbformat

from fame_lab.core.numeric import as_python
from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError
from fame_lab.experiments.report.assigned_names import assigned, other_names
from fame_lab.probes.common import parameters as probe_parameters

__all__ = ["as_options", "checked", "names", "option", "with_parameters"]

T = TypeVar("T")

_TAG = "parameters"
#: As Python has them, and papermill's command line too; JSON's true, false and null are taken as well.
_WORDS = {"True": True, "False": False, "None": None}


def names(content: nbformat.NotebookNode) -> list[str]:
    """List what the cell tagged ``parameters`` assigns; nothing where there is no such cell.

    papermill looks at its lines by an expression, and overlooks a name whose comment has an equals sign, and
    one of several on a line.

    Raises
    ------
    SpecError
        If the cell is not Python.
    """
    return [name for cell in _tagged(content)[:1] for name in _read(assigned, cell)]


def _tagged(content: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    cells = [(cell, cell.metadata.get("tags", [])) for cell in content.cells]
    return [cell for cell, tags in cells if isinstance(tags, list) and _TAG in tags]


def _read(look: Callable[[str], T], cell: nbformat.NotebookNode) -> T:
    if cell.cell_type != "code":
        raise SpecError(
            f"the cell tagged {_TAG!r} is of {cell.cell_type}: tag one of code, which assigns them"
        )
    try:
        return look(cell.source)
    except SpecError as error:
        raise SpecError(f"the cell tagged {_TAG!r} {error}") from error


def _why_unknown(content: nbformat.NotebookNode, name: str, parameters: list[str]) -> str:
    """Return what a name is instead of a parameter."""
    cells = _tagged(content)
    if not cells:
        return f"it has none: no cell is tagged {_TAG!r}"
    has = f"it has {', '.join(parameters)}" if parameters else f"the cell tagged {_TAG!r} assigns none"
    if (what := _read(other_names, cells[0]).get(name)) is not None:
        return f"there it is {what}; {has}"
    if any(name in _read(assigned, cell) for cell in cells[1:]):
        return f"another cell tagged {_TAG!r} assigns it, and the first counts alone; {has}"
    return has


def checked(content: nbformat.NotebookNode, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON holds them, if the notebook has them.

    Raises
    ------
    SpecError
        If it has no such parameter, or a value is none that JSON can hold.
    """
    own = names(content) if parameters else []
    if unknown := [name for name in parameters if name not in own]:
        why = _why_unknown(content, unknown[0], own)
        raise SpecError(f"the notebook has no parameter {quoted(unknown[0])}; {why}")
    values = {}
    for name, value in parameters.items():
        try:
            # A number of numpy's is one, and a path is text. The notebook that holds it is of UTF-8.
            text = json.dumps(as_python(value), allow_nan=False, ensure_ascii=False, default=_plain)
            values[name] = json.loads(text.encode())
        except (AttributeError, TypeError, ValueError, RecursionError) as error:
            raise SpecError(
                f"parameter {name} is {quoted(value)}",
                hint="give a number, text, true, false, none, or a list or mapping of them",
            ) from error
    return values


def _plain(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value.item()


def with_parameters(content: nbformat.NotebookNode, parameters: Mapping[str, Any]) -> nbformat.NotebookNode:
    """Return the notebook with a cell that sets them, behind the one that has their defaults."""
    if not parameters:
        return content
    # Late, for they take seconds, which a notebook without parameters need not wait for.
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    result: nbformat.NotebookNode = parameterize_notebook(
        load_notebook_node(content), dict(parameters), kernel_name="python3", language="python"
    )
    return result


def option(text: str) -> Any:
    """Read a value as it is typed behind ``-p NAME=``: JSON, or text; several are parted by commas.

    Examples
    --------
    >>> option("4"), option("256M"), option("True"), option("2,4"), option('"4"')
    (4, '256M', True, [2, 4], '4')
    """
    return _WORDS[text] if text in _WORDS else probe_parameters.value(text)


def as_options(parameters: Mapping[str, Any]) -> list[str]:
    """Return parameters as the words that one types.

    Examples
    --------
    >>> as_options({"nodes": 4, "fam": "256M", "label": "4"})
    ['-p', 'nodes=4', '-p', 'fam=256M', '-p', 'label="4"']
    """
    return [word for name, value in parameters.items() for word in ("-p", f"{name}={_typed(value)}")]


def _typed(value: Any) -> str:
    return value if isinstance(value, str) and option(value) == value else json.dumps(value)
