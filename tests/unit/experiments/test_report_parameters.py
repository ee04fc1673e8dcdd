import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.errors import SpecError
from fame_lab.experiments.report.parameters import as_options, checked, names, option, with_parameters

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)


def content(source: str = "nodes = 2\nfam: str = '64M'  # >= 1M, a = b\nnodes = 3") -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    notebook: nbformat.NotebookNode = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1"), cell])
    return notebook


def test_the_parameters_are_what_the_tagged_cell_assigns() -> None:
    assert names(content()) == ["nodes", "fam"]
    assert names(content("%matplotlib inline\na = 1\nb, c = 1, 2\nd.e = 3")) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('nodes, fam = 2, "256M"', ["nodes", "fam"]),
        ("[a, (b, *c)], d = [1, (2, 3)], 4", ["a", "b", "c", "d"]),
        ("first, *rest = range(3)", ["first", "rest"]),
        ("a = b = 1", ["a", "b"]),
        ("a = (b := 1) + max(c := 2, 3)", ["a", "b", "c"]),
        ("(n := 4)", ["n"]),
        ("a = 1\na += 1", ["a"]),
        ("sizes = [\n    1,  # one\n    2,\n]\nfam: str\n", ["sizes", "fam"]),
        ("a = 1; b = 2 # c = 3", ["a", "b"]),
        ("if True:\n    a = 1\nelse:\n    b = 2", ["a", "b"]),
        ("try:\n    a = 1\nexcept ValueError:\n    b = 2\nfinally:\n    c = 3", ["a", "b", "c"]),
        ("%matplotlib inline\n!ls\na = 1", ["a"]),
        ("%%time\na = 1", ["a"]),
        ("def f():\n    a = 1\nclass C:\n    b = 1\ng = lambda: (c := 1)", ["g"]),
        ("a.b = c[0] = 1", []),
        ("'a = 1'\n# b = 2", []),
    ],
)
def test_every_name_that_the_cell_assigns_is_a_parameter(source: str, expected: list[str]) -> None:
    assert names(content(source)) == expected


def test_a_name_of_several_on_a_line_takes_the_value_that_is_given() -> None:
    notebook = with_parameters(
        content('nodes, fam = 2, "256M"'), checked(content("nodes, fam = 2, 3"), {"nodes": 4})
    )
    ran: dict[str, Any] = {}
    for cell in notebook.cells:
        exec(cell.source, ran)  # noqa: S102 - as its kernel would
    assert (ran["nodes"], ran["fam"]) == (4, "256M")


@pytest.mark.parametrize(
    ("source", "name", "what"),
    [
        ("import numpy as np\na = 1", "np", "there it is a module; it has a"),
        ("from os import path", "path", "there it is imported; the cell tagged 'parameters' assigns none"),
        ("def load(): ...", "load", "a function"),
        ("class Load: ...", "Load", "a class"),
        ("for n in range(3): ...", "n", "the variable of a loop"),
        ("with open('x') as file: ...", "file", "what a `with` gives"),
        ("a = 1", "b", "it has a"),
        ("", "a", "the cell tagged 'parameters' assigns none"),
    ],
)
def test_what_is_no_parameter_is_named_as_what_it_is(source: str, name: str, what: str) -> None:
    with pytest.raises(SpecError, match=re.escape(what)):
        checked(content(source), {name: 1})


def test_of_several_tagged_cells_the_first_counts() -> None:
    notebook = content("a = 1")
    notebook.cells.append(content("b = 2").cells[1])
    assert names(notebook) == ["a"]
    with pytest.raises(SpecError, match="another cell tagged 'parameters' assigns it"):
        checked(notebook, {"b": 1})


def test_a_tagged_cell_that_can_assign_nothing_is_named_as_what_it_is() -> None:
    with pytest.raises(SpecError, match="the cell tagged 'parameters' is one of the magic '%%bash'"):
        names(content("%%bash\na=1"))
    notebook = content()
    notebook.cells[1] = nbformat.v4.new_markdown_cell("nodes = 2", metadata={"tags": ["parameters"]})
    with pytest.raises(SpecError, match="is of markdown"):
        names(notebook)


@given(st.text())
def test_whatever_the_cell_holds_it_has_names_or_a_short_error(source: str) -> None:
    try:
        assert all(isinstance(name, str) for name in names(content(source)))
    except SpecError as error:
        assert len(str(error)) < 400


def test_a_path_is_text_and_an_array_a_list() -> None:
    assert checked(content("a = b = 1"), {"a": Path("x"), "b": np.arange(2)}) == {"a": "x", "b": [0, 1]}


def test_a_notebook_without_a_tagged_cell_has_none() -> None:
    assert names(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("nodes = 2")])) == []


def test_a_tagged_cell_that_is_no_python_is_refused() -> None:
    with pytest.raises(SpecError, match="the cell tagged 'parameters' is not Python"):
        names(content("nodes ="))


def test_an_unknown_parameter_is_refused_with_what_there_is() -> None:
    with pytest.raises(SpecError, match="no parameter 'node'; it has nodes, fam"):
        checked(content(), {"node": 4})
    with pytest.raises(SpecError, match="it has none: no cell is tagged 'parameters'"):
        checked(nbformat.v4.new_notebook(), {"nodes": 4})


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}, b"x", [complex(1)], "\ud800"])
def test_a_value_that_no_manifest_could_hold_is_refused(value: Any) -> None:
    with pytest.raises(SpecError, match=r"parameter nodes is .*: give a number"):
        checked(content(), {"nodes": value})


def test_a_number_of_numpy_s_is_a_number() -> None:
    assert checked(content(), {"nodes": np.int64(4), "fam": (1, np.float64(2.5))}) == {
        "nodes": 4,
        "fam": [1, 2.5],
    }


def test_the_cell_with_the_values_comes_behind_the_one_with_the_defaults() -> None:
    notebook = with_parameters(content(), {"nodes": 4})
    tags = [cell.metadata.tags for cell in notebook.cells]
    assert tags == [[], ["parameters"], ["injected-parameters"]]
    assert "nodes = 4" in notebook.cells[2].source


def test_without_parameters_no_cell_is_added() -> None:
    assert len(with_parameters(content(), {}).cells) == 2


@given(JSON)
def test_python_reads_in_the_added_cell_what_was_given(value: Any) -> None:
    notebook = with_parameters(content(), {"nodes": value})
    (assignment,) = ast.parse(notebook.cells[2].source).body
    assert isinstance(assignment, ast.Assign)
    assert ast.literal_eval(assignment.value) == value


@given(JSON)
def test_what_is_typed_for_a_value_is_read_as_that_value(value: Any) -> None:
    (_, typed) = as_options({"nodes": value})
    assert option(typed.removeprefix("nodes=")) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("true", True),
        ("True", True),
        ("None", None),
        ("256M", "256M"),
        ("2,4", [2, 4]),
        ("1e3", 1e3),
    ],
)
def test_a_typed_value_is_json_or_text_or_a_list(text: str, value: Any) -> None:
    assert option(text) == value
