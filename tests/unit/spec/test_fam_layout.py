import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.errors import SpecError
from fame_lab.spec.fam_layout import BARRIERS, CONTROL_SIZE, MAX_NODES, Books, ControlArea, auto_book

MIB = 1 << 20


def test_nothing_in_the_control_area_overlaps_or_leaves_it() -> None:
    area = ControlArea(MIB)
    own = [area.host_nonce, area.release, area.question, area.node_nonce, area.progress, area.answer]
    words = [(place(node), 8) for place in own for node in range(MAX_NODES)]
    words += [(area.pattern, 4096)]
    words += [(area.barrier(number), 128) for number in range(BARRIERS)]
    words.sort()
    assert words[0][0] >= area.offset == MIB - CONTROL_SIZE
    assert words[-1][0] + words[-1][1] <= MIB
    for (start, length), (after, _) in itertools.pairwise(words):
        assert start + length <= after


def test_no_two_writers_share_a_cache_line_pair() -> None:
    area = ControlArea(MIB)
    of_the_host = [area.host_nonce, area.release, area.question]
    of_the_node = [area.node_nonce, area.progress, area.answer]
    lines = {place(node) // 128 for place in of_the_host for node in range(MAX_NODES)}
    assert not lines & {place(node) // 128 for place in of_the_node for node in range(MAX_NODES)}


@pytest.mark.parametrize("node", [-1, MAX_NODES])
def test_a_node_number_out_of_range_is_refused(node: int) -> None:
    with pytest.raises(SpecError):
        ControlArea(MIB).host_nonce(node)


def test_contiguous_homes_follow_the_formula() -> None:
    books = Books(16 * MIB, MIB, 3, "contiguous")
    assert [books.home(book * MIB) for book in range(16)] == [book * 3 // 16 for book in range(16)]


def test_interleaved_homes_go_round() -> None:
    books = Books(16 * MIB, MIB, 3, "interleaved")
    assert [books.home(book * MIB) for book in range(16)] == [book % 3 for book in range(16)]


def test_the_control_area_has_no_home() -> None:
    books = Books(16 * MIB, MIB, 3, "contiguous")
    assert books.home(16 * MIB - 1) is None
    assert books.home(16 * MIB - CONTROL_SIZE - 1) == 2


@pytest.mark.parametrize("offset", [-1, 16 * MIB])
def test_an_offset_outside_fam_has_no_home_and_is_refused(offset: int) -> None:
    with pytest.raises(SpecError):
        Books(16 * MIB, MIB, 3, "contiguous").home(offset)


@given(
    st.integers(min_value=0, max_value=8),
    st.integers(min_value=1, max_value=MAX_NODES),
    st.sampled_from(["contiguous", "interleaved"]),
)
def test_the_books_at_home_on_a_node_are_those_whose_home_it_is(bits: int, nodes: int, how: Any) -> None:
    books = Books(CONTROL_SIZE * 2 << bits, 2 * CONTROL_SIZE, nodes, how)
    homes = [books.home(number * books.book) for number in range(books.count)]
    for node in range(nodes):
        assert [number for number, home in enumerate(homes) if home == node] == list(books.at_home(node))


@given(st.integers(min_value=20, max_value=45), st.integers(min_value=1, max_value=MAX_NODES))
def test_the_automatic_book_gives_every_node_one_and_is_the_largest_that_does(bits: int, nodes: int) -> None:
    size = 1 << bits
    book = auto_book(size, nodes)
    assert size // book >= nodes
    assert book == 8 * MIB or size // (2 * book) < nodes
    homes = {Books(size, book, nodes, "contiguous").home(0), Books(size, book, nodes, "interleaved").home(0)}
    assert homes == {0}


@given(st.integers(20, 39), st.integers(1, MAX_NODES), st.booleans(), st.lists(st.floats(0, 1), max_size=20))
def test_homes_of_many_offsets_are_the_homes_of_each(
    bits: int, nodes: int, contiguous: bool, places: list[float]
) -> None:
    size = 1 << bits
    books = Books(size, auto_book(size, nodes), nodes, "contiguous" if contiguous else "interleaved")
    last = ControlArea(size).offset - 1
    offsets = [0, last, *(int(place * last) for place in places)]
    homes = books.homes(np.array(offsets, dtype="u8"))
    assert homes.tolist() == [books.home(offset) for offset in offsets]


def test_no_offsets_have_no_homes() -> None:
    assert Books(MIB, 1 << 14, 3, "contiguous").homes(np.empty((0, 2), "u8")).shape == (0, 2)


@pytest.mark.parametrize("offset", [-1, 16 * MIB - CONTROL_SIZE, 16 * MIB])
def test_of_many_offsets_one_without_a_home_is_refused(offset: int) -> None:
    with pytest.raises(SpecError, match="has no home"):
        Books(16 * MIB, MIB, 3, "contiguous").homes(np.array([0, offset]))
