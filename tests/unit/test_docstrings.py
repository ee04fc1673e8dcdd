"""Docstrings begin with the verb that a reader of Python expects."""

import ast

from repository import ROOT

PACKAGE = ROOT / "fame_lab"
UNUSUAL = {"Give", "Tell", "Say", "Have", "Let", "Hear"}


def test_no_docstring_begins_with_an_unusual_verb() -> None:
    begun = {
        f"{path.relative_to(PACKAGE)}:{each.body[0].lineno}"
        for path in PACKAGE.rglob("*.py")
        for each in ast.walk(ast.parse(path.read_text()))
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module)
        and (said := ast.get_docstring(each))
        and said.split()[0].rstrip(":,.") in UNUSUAL
    }
    assert begun == set()
