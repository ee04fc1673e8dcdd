from hypothesis import given
from hypothesis import strategies as st

from fame_lab.core.sanitize import plain, quoted, shortened


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("it has no words")


ANY_TEXT = st.text(st.characters())  # with control characters, and halves of surrogate pairs


@given(ANY_TEXT)
def test_whatever_text_it_is_a_terminal_shows_and_obeys_nothing_of_it(text: str) -> None:
    result = plain(text)
    assert result.replace("\n", "").replace("\t", "").isprintable()
    result.encode()


@given(ANY_TEXT)
def test_what_can_be_printed_stays(text: str) -> None:
    printable = "".join(each for each in text if each.isprintable())
    assert plain(printable) == printable


@given(ANY_TEXT)
def test_a_quoted_text_is_short_and_printable(text: str) -> None:
    result = shortened(text, 20)
    assert result.isprintable()
    assert len(result) <= 20 * len("\\U0010ffff") + 2


def test_whatever_it_is_it_can_be_named() -> None:
    assert quoted(Odd()) == "<Odd>"
    assert quoted(10**5000) == "a very large int"
    assert quoted([1] * 999, 9) == "[1, 1, 1…"
    assert quoted("it") == "'it'"


def test_a_bidirectional_override_and_other_invisible_letters_are_shown() -> None:
    assert plain("a\u202eb\u2028\x00\x9b") == r"a\u202eb\u2028\x00\x9b"
