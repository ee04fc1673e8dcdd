"""The names that a notebook's cell assigns, read from its text; the text is never run."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError

__all__ = ["assigned", "other_names"]

#: Of IPython's, those whose cell runs in the notebook's own names.
_TRANSPARENT = ("time", "capture")

_Block = list[ast.stmt]


def assigned(source: str) -> list[str]:
    r"""List the names that a cell assigns, each once, in order: those that another value can be given to.

    Parameters
    ----------
    source : str
        With IPython's magics.

    Raises
    ------
    SpecError
        If it is not Python.

    Examples
    --------
    >>> assigned('nodes, fam = 2, "256M"  # a lab\nlabel: str = "x"\nfirst = last = (most := 3)')
    ['nodes', 'fam', 'label', 'first', 'last', 'most']
    """
    names = itertools.chain.from_iterable(_assigned(statement) for statement in _statements(_parsed(source)))
    return list(dict.fromkeys(names))


def other_names(source: str) -> dict[str, str]:
    r"""Return the kind of each name in a cell that is no parameter, in words.

    Examples
    --------
    >>> other_names("import os\nfor n in range(3):\n    pass\ndef load(): ...")
    {'os': 'a module', 'n': 'the variable of a loop', 'load': 'a function'}
    """
    kinds: dict[str, str] = {}
    for statement in _statements(_parsed(source)):
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                kinds[statement.name] = "a function"
            case ast.ClassDef():
                kinds[statement.name] = "a class"
            case ast.Import():
                kinds |= {
                    (each.asname or each.name).partition(".")[0]: "a module" for each in statement.names
                }
            case ast.ImportFrom():
                kinds |= {each.asname or each.name: "imported" for each in statement.names}
            case ast.For() | ast.AsyncFor():
                kinds |= dict.fromkeys(_targets(statement.target), "the variable of a loop")
            case ast.With() | ast.AsyncWith():
                targets = [each.optional_vars for each in statement.items if each.optional_vars is not None]
                kinds |= dict.fromkeys(itertools.chain(*map(_targets, targets)), "what a `with` gives")
    return kinds


def _parsed(source: str) -> _Block:
    from IPython.core.inputtransformer2 import TransformerManager

    if source.startswith("%%"):
        first, _, rest = source.partition("\n")
        magic = first[2:].split(maxsplit=1)[0] if first[2:].strip() else ""
        if magic not in _TRANSPARENT:
            raise SpecError(f"is one of the magic {quoted('%%' + magic)}, and assigns nothing itself")
        source = rest
    try:
        return ast.parse(TransformerManager().transform_cell(source)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SpecError(f"is not Python: {quoted(str(error))}") from error


def _statements(block: _Block) -> Iterator[ast.stmt]:
    """Return all statements that run in the notebook's own names, those within `if` and the like too."""
    for statement in block:
        yield statement
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        yield from _statements(getattr(statement, "body", []))
        for part in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
            yield from _statements(part.body)
        for name in ("orelse", "finalbody"):
            yield from _statements(getattr(statement, name, []))


def _assigned(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.Assign():
            for target in statement.targets:
                yield from _targets(target)
        case ast.AnnAssign() | ast.AugAssign():
            yield from _targets(statement.target)
    yield from _walruses(statement)


def _targets(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Name():
            yield target.id
        case ast.Starred():
            yield from _targets(target.value)
        case ast.Tuple() | ast.List():
            for each in target.elts:
                yield from _targets(each)


def _walruses(node: ast.AST) -> Iterator[str]:
    """Return the names that a statement's expressions assign, outside lambdas and nested statements."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr) and not isinstance(child, ast.Lambda):
            if isinstance(child, ast.NamedExpr):
                yield child.target.id
            yield from _walruses(child)
        elif isinstance(child, (ast.comprehension, ast.keyword, ast.withitem)):
            yield from _walruses(child)
