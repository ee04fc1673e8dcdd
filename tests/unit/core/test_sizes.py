import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.core.sizes import format_size, nearest_powers, parse_size
from fame_lab.errors import SpecError


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("256M", 256 << 20), ("4k", 4096), ("2GiB", 2 << 30), ("1 T", 1 << 40), (7, 7)],
)
def test_reads_what_people_write(text: int | str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "M", "-1M", "1.5G", "1P", "1MB", "256 M M", "٣M", True, None, 1.5, b"1M"]
)
def test_refuses_what_is_no_size_and_quotes_it(text: object) -> None:
    with pytest.raises(SpecError, match="fam is ") as refused:
        parse_size(text, "fam")  # type: ignore[arg-type]
    assert repr(text) in str(refused.value)


@given(st.integers(min_value=0, max_value=1 << 60))
def test_what_is_written_reads_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SpecError):
        assert parse_size(text) >= 0


@given(st.integers(min_value=1, max_value=1 << 60))
def test_nearest_powers_enclose_the_size(size: int) -> None:
    below, above = nearest_powers(size)
    assert below <= size <= above
    assert below.bit_count() == above.bit_count() == 1
    assert above in (below, 2 * below)
