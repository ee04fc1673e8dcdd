import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from repository import ROOT

from fame_lab.core.html import facts_html, render

TABLE = "{{ table(caption, heads, rows, labels, most) }}"


class Page(HTMLParser):
    """What a browser makes of HTML: its tags, and the text of each row's cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.tags[-1] in ("th", "td") and not data.isspace():
            self.rows[-1][-1] += data


def a_table(rows: list[list[str]], labels: int = 1, most: int | None = None) -> str:
    return render(TABLE, caption="c", heads=["a", "b"], rows=rows, labels=labels, most=most)


@given(st.lists(st.tuples(st.text("<>&\"'{}%ab"), st.text("<>&\"'{}%ab")), max_size=3))
def test_whatever_a_cell_holds_is_its_text_and_no_tag(rows: list[tuple[str, str]]) -> None:
    page = Page(a_table([list(row) for row in rows]))
    assert page.rows == [["a", "b"], *(list(row) for row in rows)]
    assert page.tags[7:] == ["tr", "th", "td"] * len(rows)


def test_the_first_cells_of_a_row_are_its_labels() -> None:
    assert "<tr><th>x</th><th>y</th><td>1</td></tr>" in a_table([["x", "y", "1"]], labels=2)


def test_a_table_says_how_many_rows_it_does_not_show() -> None:
    rows = [[str(number), ""] for number in range(2000)]
    assert "more" not in a_table(rows, most=2000)
    table = a_table(rows, most=999)
    assert '<tr><td colspan="2">and 1,001 more</td></tr>' in table and "<th>999</th>" not in table


def test_facts_are_escaped() -> None:
    page = facts_html("lab", "<b>", "<i>", {"<u>": "</p>"})
    assert "&lt;b&gt;</strong> &lt;i&gt;" in page
    assert "&lt;u&gt;</th>" in page and "&lt;/p&gt;</td>" in page


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'text' is undefined"):
        render("<b>{{ text }}</b>")


def test_no_html_is_escaped_by_hand_and_none_is_trusted() -> None:
    by_hand = re.compile(r"import html\b|from html import|Markup\(|\|\s*(e|escape|safe)\b")
    sources = {path: path.read_text() for path in (ROOT / "fame_lab").rglob("*.py")}
    assert [path for path, source in sources.items() if by_hand.search(source)] == []


def test_what_shows_nothing_loads_no_jinja2() -> None:
    program = "import sys; from fame_lab import Lab, LabSpec; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
