"""The examples in docstrings are code that runs."""

import doctest
import functools
import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from repository import ROOT

PACKAGE = ROOT / "fame_lab"
SOURCES = sorted(PACKAGE.rglob("*.py"))
#: Those that need a lab say SKIP; the tests in vm/ do the same with real nodes.
EXAMPLES = [path for path in SOURCES if ">>>" in path.read_text()]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_examples_of_a_module_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    tried = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert tried.failed == 0


@functools.cache
def resolves(name: str) -> bool:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        return all((value := _part(value, part)) is not None for part in parts[count:])
    return False


def _part(of: Any, name: str) -> Any:
    # A field of a dataclass without a default is no attribute of the class.
    fields = {field for each in getattr(of, "__mro__", ()) for field in vars(each).get("__annotations__", {})}
    return getattr(of, name, name if name in fields else None)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_a_docstring_refers_to_is_there(path: Path) -> None:
    text = path.read_text()
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for match in re.finditer(r":(?:class|func|meth|attr|mod|data):`([\w.]+)`", text):
        inside = re.findall(r"^class (\w+)", text[: match.start()], re.MULTILINE)[-1:]
        places = ("", f"{module}.", *(f"{module}.{each}." for each in inside))
        assert any(resolves(place + match[1]) for place in places), match[0]
