"""Docstrings begin with the verb that a reader of Python expects; public ones are whole."""

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from repository import ROOT

import fame_lab

PACKAGE = ROOT / "fame_lab"
UNUSUAL = {"Give", "Tell", "Say", "Have", "Let", "Hear"}


def test_no_docstring_begins_with_an_unusual_verb() -> None:
    places = {
        f"{path.relative_to(ROOT)}:{each.body[0].lineno}"
        for folder in (PACKAGE, ROOT / "tests")
        for path in folder.rglob("*.py")
        for each in ast.walk(ast.parse(path.read_text()))
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module)
        and (docstring := ast.get_docstring(each))
        and docstring.split()[0].rstrip(":,.") in UNUSUAL
    }
    assert places == set()


def test_what_returns_nothing_says_so() -> None:
    places = {
        f"{path.relative_to(PACKAGE)}:{each.lineno}"
        for path in PACKAGE.rglob("*.py")
        for each in ast.walk(ast.parse(path.read_text()))
        if isinstance(each, ast.FunctionDef)
        and isinstance(each.returns, ast.Constant)
        and each.returns.value is None
        and (ast.get_docstring(each) or "").startswith("Return")
    }
    assert places == set()


def public() -> Iterator[tuple[str, Any]]:
    """Every callable of the public surface but errors, with its name."""
    for name in fame_lab.__all__:
        each = getattr(fame_lab, name)
        if not isinstance(each, type):
            yield name, each
        elif not issubclass(each, BaseException):
            members = inspect.getmembers(each, inspect.isroutine)
            yield from (
                (f"{name}.{method}", function)
                for method, function in members
                if not method.startswith("_")
                and callable(function)  # a cached property is not, which Python 3.13 has of our module
                and function.__module__.startswith("fame_lab")
            )


PUBLIC = dict(public())


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_docstring_has_every_parameter_and_what_is_returned(name: str) -> None:
    text = inspect.getdoc(PUBLIC[name]) or ""
    sections = dict(re.findall(r"^(\w+)\n-{3,}\n(.*?)(?=^\w+\n-{3,}\n|\Z)", text, re.MULTILINE | re.DOTALL))
    entries = re.findall(r"^(\*{0,2}\w[^\n:]*)(?: :|$)", sections.get("Parameters", ""), re.MULTILINE)
    names = {word.strip(" *") for entry in entries for word in entry.split(",")}
    signature = inspect.signature(PUBLIC[name])
    parameters = [each for each in signature.parameters if each not in ("self", "cls")]
    assert set(parameters) <= names, name
    if parameters and signature.return_annotation not in (None, "None"):
        assert "Returns" in sections, name
