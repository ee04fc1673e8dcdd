from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.errors import ProbeError, SpecError
from fame_lab.probes import workloads
from fame_lab.probes.common.workload_placement import PLACEMENTS, Placement, StripedRange
from fame_lab.spec.fam_layout import Books
from fame_lab.testing import LocalLab

KIB = 1 << 10
MIB = 1 << 20

layouts = st.sampled_from(["contiguous", "interleaved"])


def pages(spread: StripedRange) -> set[int]:
    """Return every page of FAM that is in it."""
    return {
        (spread.offset(stripe) + page) // (4 * KIB)
        for stripe in range(spread.stripes)
        for page in range(0, spread.stripe, 4 * KIB)
    }


@given(st.integers(1, 7), st.integers(12, 18), layouts, st.integers(1, 20 * KIB))
def test_data_of_a_placement_lie_at_that_home_and_apart(nodes: int, book: int, how: Any, words: int) -> None:
    books = Books(4 * MIB, 1 << book, nodes, how)
    for place in PLACEMENTS[: 1 if nodes == 1 else 3]:
        placement = Placement(books, place, list(range(nodes)))
        spreads = [placement.private(node, 8 * words) for node in range(nodes)] + [
            placement.shared(8 * words)
        ]
        page_sets = [pages(spread) for spread in spreads]
        assert len(set.union(*page_sets)) == sum(map(len, page_sets))
        for node, spread in enumerate(spreads[:-1]):
            homes = {books.home(spread.offset(stripe)) for stripe in range(spread.stripes)}
            first = {"own": node, "remote": (node + 1) % nodes}.get(place)
            assert homes == ({first} if first is not None else set(range(min(nodes, spread.stripes))))
        assert None not in {books.home(4 * KIB * page) for page in set.union(*page_sets)}


def test_interleaved_pages_go_round_all_homes_of_the_lab() -> None:
    books = Books(64 * MIB, 8 * MIB, 3, "contiguous")
    spread = Placement(books, "interleaved", [2]).private(2, 6 * 4 * KIB)
    assert [books.home(spread.offset(stripe)) for stripe in range(6)] == [0, 1, 2, 0, 1, 2]
    assert [spread.offset(stripe) for stripe in (0, 3)] == [0, 4 * KIB]


def test_much_data_lie_in_coarser_pieces() -> None:
    books = Books(256 * MIB, 8 * MIB, 2, "contiguous")
    assert Placement(books, "interleaved", [0]).private(0, 4 * MIB).stripe == 4 * KIB
    assert Placement(books, "interleaved", [0]).private(0, 64 * MIB).stripe == 64 * KIB


def test_shared_data_are_remote_at_who_takes_no_part_or_at_the_last() -> None:
    books = Books(64 * MIB, 8 * MIB, 3, "contiguous")
    assert Placement(books, "own", [1, 2]).shared(KIB).homes == (1,)
    assert Placement(books, "remote", [0, 2]).shared(KIB).homes == (1,)
    assert Placement(books, "remote", [2, 0, 1]).shared(KIB).homes == (1,)


def test_data_that_do_not_fit_before_the_control_area_are_refused() -> None:
    books = Books(4 * MIB, 2 * MIB, 2, "contiguous")
    Placement(books, "own", [1]).private(1, 2 * MIB - 64 * KIB)
    with pytest.raises(SpecError, match=r"at home on node number 1, of which 2031616 are the user's"):
        Placement(books, "own", [1]).private(1, 2 * MIB - 60 * KIB)
    placement = Placement(books, "own", [0])
    placement.private(0, MIB)
    with pytest.raises(SpecError, match="give a smaller size"):
        placement.shared(MIB + 4 * KIB)


def test_one_node_alone_has_no_other_home() -> None:
    with pytest.raises(ProbeError, match="takes 2 nodes"):
        Placement(Books(4 * MIB, MIB, 1, "contiguous"), "remote", [0])


@pytest.mark.parametrize("layout", ["contiguous", "interleaved"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_program_stores_where_the_placement_says_and_nowhere_else(
    tmp_path: Path, layout: str, placement: str
) -> None:
    lab: Any = LocalLab.make(tmp_path, nodes=3, layout=layout, book="16K")
    user = lab.fam.control.offset
    lab.fam.write(0, b"\xa5" * user)
    # Both store to every word that they have.
    workloads.run(lab, workloads=["stream", "gups"], placement=placement, size=48 * KIB, operations=1 << 17)
    placed = [Placement(lab.spec.books, placement, [0, 1, 2]) for _ in range(2)]
    ours = set.union(
        *(pages(placed[0].private(node, 48 * KIB)) for node in range(3)), pages(placed[1].shared(48 * KIB))
    )
    for page in range(user // (4 * KIB)):
        untouched = lab.fam.read(page * 4 * KIB, 4 * KIB) == b"\xa5" * (4 * KIB)
        assert untouched != (page in ours)
