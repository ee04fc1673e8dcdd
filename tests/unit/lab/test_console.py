from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fame_lab.lab.console import last_line, tail


def test_the_last_line_that_says_anything_is_given() -> None:
    assert last_line("one\r\ntwo\r\n\r\n   \r\n") == "two"
    assert last_line("") == ""


def test_what_would_colour_or_move_a_terminal_is_left_out() -> None:
    assert last_line("\x1b[2J\x1b[1;31mpanic\x1b[0m: no init\x07\n\x1b[K\n") == "panic: no init"


@given(st.text())
def test_whatever_a_guest_writes_one_short_printable_line_comes_of_it(text: str) -> None:
    line = last_line(text)
    assert line.isprintable()
    assert len(line) <= 160


def test_only_the_end_of_a_long_console_is_read(tmp_path: Path) -> None:
    path = tmp_path / "console"
    path.write_bytes(b"x" * 5000 + b"end")
    assert tail(path, 10) == "x" * 7 + "end"


def test_a_console_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "none") == ""
