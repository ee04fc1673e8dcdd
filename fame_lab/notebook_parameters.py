"""A notebook's parameters: which there are, and the notebook with other values."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

import nbformat

from fame_lab.errors import SpecError
from fame_lab.probes import parameters as probe_parameters
from fame_lab.quoting import quoted

__all__ = ["as_options", "checked", "names", "option", "with_parameters"]

_TAG = "parameters"
#: As Python has them, and papermill's command line too; JSON's true, false and null are taken as well.
_WORDS = {"True": True, "False": False, "None": None}


def names(content: nbformat.NotebookNode) -> list[str]:
    """List what the cell tagged ``parameters`` assigns; nothing where there is no such cell.

    papermill looks at its lines by an expression, and overlooks a name whose comment has an equals sign.
    """
    from IPython.core.inputtransformer2 import TransformerManager

    cell = next((cell for cell in content.cells if _TAG in cell.metadata.get("tags", [])), None)
    if cell is None:
        return []
    try:
        tree = ast.parse(TransformerManager().transform_cell(cell.source))
    except SyntaxError as error:
        raise SpecError(f"the cell tagged {_TAG!r} is not Python: {error}") from error
    targets = []
    for statement in tree.body:
        match statement:
            case ast.Assign():
                targets += statement.targets
            case ast.AnnAssign():
                targets.append(statement.target)
    return list(dict.fromkeys(target.id for target in targets if isinstance(target, ast.Name)))


def checked(content: nbformat.NotebookNode, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Give parameters as JSON holds them, if the notebook has them.

    Raises
    ------
    SpecError
        If it has no such parameter, or a value is none that JSON can hold.
    """
    known = names(content) if parameters else []
    if unknown := [name for name in parameters if name not in known]:
        has = f"it has {', '.join(known)}" if known else f"it has none: no cell is tagged {_TAG!r}"
        raise SpecError(f"the notebook has no parameter {quoted(unknown[0])}; {has}")
    taken = {}
    for name, value in parameters.items():
        try:
            # A number of numpy's is one.
            text = json.dumps(value, allow_nan=False, default=lambda other: other.item())
            taken[name] = json.loads(text)
        except (AttributeError, TypeError, ValueError, RecursionError) as error:
            raise SpecError(
                f"parameter {name} is {quoted(value)}: give a number, text, true, false, none, or a list or "
                f"mapping of them"
            ) from error
    return taken


def with_parameters(content: nbformat.NotebookNode, parameters: Mapping[str, Any]) -> nbformat.NotebookNode:
    """Give the notebook with a cell that sets them, behind the one that has their defaults."""
    if not parameters:
        return content
    # Late, for they take seconds, which a notebook without parameters need not wait for.
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    made: nbformat.NotebookNode = parameterize_notebook(
        load_notebook_node(content), dict(parameters), kernel_name="python3", language="python"
    )
    return made


def option(text: str) -> Any:
    """Read a value as it is typed behind ``-p NAME=``: JSON, or text; several are parted by commas.

    Examples
    --------
    >>> option("4"), option("256M"), option("True"), option("2,4"), option('"4"')
    (4, '256M', True, [2, 4], '4')
    """
    return _WORDS[text] if text in _WORDS else probe_parameters.value(text)


def as_options(parameters: Mapping[str, Any]) -> list[str]:
    """Give parameters as the words that one types.

    Examples
    --------
    >>> as_options({"nodes": 4, "fam": "256M", "label": "4"})
    ['-p', 'nodes=4', '-p', 'fam=256M', '-p', 'label="4"']
    """
    return [word for name, value in parameters.items() for word in ("-p", f"{name}={_typed(value)}")]


def _typed(value: Any) -> str:
    return value if isinstance(value, str) and option(value) == value else json.dumps(value)
