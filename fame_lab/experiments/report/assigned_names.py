"""The names that a notebook's cell assigns, read from its text; the text is never run."""

from __future__ import annotations

import ast

from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError

__all__ = ["assigned", "other_names"]

#: Of IPython's, those whose cell runs in the notebook's own names.
_TRANSPARENT = ("time", "capture")


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
    return list(_names(source).assigned)


def other_names(source: str) -> dict[str, str]:
    r"""Return the kind of each name in a cell that is no parameter, in words.

    Examples
    --------
    >>> other_names("import os\nfor n in range(3):\n    pass\ndef load(): ...")
    {'os': 'a module', 'n': 'the variable of a loop', 'load': 'a function'}
    """
    return _names(source).others


class _Names(ast.NodeVisitor):
    """The names of a cell, in order: those that another value can be given to, and the kinds of the others.

    It reads all that runs in the notebook's own names, also within `if` and the like.
    """

    def __init__(self) -> None:
        self.assigned: dict[str, None] = {}
        self.others: dict[str, str] = {}

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.assigned[node.id] = None

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._note(node.target, "the variable of a loop")
        for each in (node.iter, *node.body, *node.orelse):
            self.visit(each)

    def visit_withitem(self, node: ast.withitem) -> None:
        self.visit(node.context_expr)
        if node.optional_vars is not None:
            self._note(node.optional_vars, "what a `with` gives")

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for each in (node.iter, *node.ifs):  # its target is its own
            self.visit(each)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.others[node.name] = "a function"
        defaults = (each for each in node.args.kw_defaults if each is not None)
        for each in (*node.decorator_list, *node.args.defaults, *defaults):
            self.visit(each)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.others[node.name] = "a class"
        for each in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(each)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Leave out its names, which are its own."""

    def visit_TypeAlias(self, node: ast.AST) -> None:  # since Python 3.12
        """Leave out a name that is a type."""

    def visit_Import(self, node: ast.Import) -> None:
        self.others |= {(each.asname or each.name).partition(".")[0]: "a module" for each in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.others |= {each.asname or each.name: "imported" for each in node.names}

    visit_AsyncFor, visit_AsyncFunctionDef = visit_For, visit_FunctionDef  # noqa: N815 - ast names them

    def _note(self, target: ast.expr, kind: str) -> None:
        targets = _Names()
        targets.visit(target)
        self.others |= dict.fromkeys(targets.assigned, kind)


def _names(source: str) -> _Names:
    from IPython.core.inputtransformer2 import TransformerManager

    if source.startswith("%%"):
        first, _, rest = source.partition("\n")
        magic = first[2:].split(maxsplit=1)[0] if first[2:].strip() else ""
        if magic not in _TRANSPARENT:
            raise SpecError(f"is one of the magic {quoted('%%' + magic)}, and assigns nothing itself")
        source = rest
    names = _Names()
    try:
        names.visit(ast.parse(TransformerManager().transform_cell(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SpecError(f"is not Python: {quoted(str(error))}") from error
    return names
