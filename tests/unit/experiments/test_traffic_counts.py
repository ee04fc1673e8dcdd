from made_traffic import a_cached_trace, a_trace, some_samples
from reference_caches import Access

from fame_lab import Cache, compare
from fame_lab.experiments.compare.traffic_counts import counts
from fame_lab.experiments.compare.verdicts import judge

CELLS = {("load", 1, 0): 3, ("store", 2, 4096): 5, ("load", 2, 32 << 20): 7}


def test_a_trace_agrees_with_itself_count_by_count() -> None:
    rows = judge([*counts("traffic", a_trace(CELLS), a_trace(CELLS))])
    assert {row.verdict for row in rows} == {"agrees"}
    assert {row.kind for row in rows} == {"exact"}
    # Accesses and bytes, of two operations, by two initiators to two homes; and all granules at once.
    assert len(rows) == 2 * 2 * 2 * 2 + 1


def test_one_access_more_is_a_difference() -> None:
    rows = judge([*counts("traffic", a_trace(CELLS), a_trace(CELLS | {("load", 1, 0): 4}))])
    differing = [(row.quantity, row.place, row.a, row.b) for row in rows if row.verdict == "differs"]
    assert differing == [
        ("accesses", "op=load, initiator=node01, home=node01", 3, 4),
        ("bytes", "op=load, initiator=node01, home=node01", 24, 32),
        ("granules of 4K, count by count", "", 3, 3),
    ]


def test_counts_that_a_double_cannot_tell_apart_differ() -> None:
    most = 1 << 54
    a, b = (a_trace({("load", 1, 0): (count, 8)}) for count in (most, most + 1))
    assert "differs" in {row.verdict for row in judge([*counts("traffic", a, b)])}


def test_the_same_sums_from_other_granules_are_a_difference() -> None:
    moved = {("load", 1, 8192): 3, ("store", 2, 4096): 5, ("load", 2, 32 << 20): 7}
    rows = judge([*counts("traffic", a_trace(CELLS), a_trace(moved))])
    assert [row.quantity for row in rows if row.verdict == "differs"] == ["granules of 4K, count by count"]


def test_granules_of_another_size_are_not_compared() -> None:
    fine = a_trace(CELLS, granule=64)
    assert not [point for point in counts("traffic", a_trace(CELLS), fine) if "granules" in point.quantity]


def test_of_samples_it_is_compared_where_something_changed() -> None:
    a, b, elsewhere = some_samples({0: 2}), some_samples({0: 9}), some_samples({4096: 2})
    assert [row.verdict for row in judge([*counts("traffic", a, b)])] == ["agrees"]
    assert [row.verdict for row in judge([*counts("traffic", a, elsewhere)])] == ["differs"]


STEPS: list[Access] = [(0, 0, 8, "store"), (1, 0, 8, "load"), (0, 32 << 20, 8, "load")]


def test_two_traces_with_caches_are_compared_by_transactions_and_misses() -> None:
    rows = judge([*counts("traffic", a_cached_trace(STEPS), a_cached_trace(STEPS))])
    assert {row.verdict for row in rows} == {"agrees"}
    quantities = [row.quantity for row in rows]
    assert quantities.count("transactions") == 7 * 2 * 2
    assert quantities.count("misses") == 3 * 2 * 2


def test_another_order_of_the_same_accesses_is_a_difference_of_transactions_alone() -> None:
    rows = judge([*counts("traffic", a_cached_trace(STEPS), a_cached_trace([STEPS[1], STEPS[0], STEPS[2]]))])
    differing = {row.quantity for row in rows if row.verdict == "differs"}
    assert differing == {"transactions"}


def test_transactions_are_not_compared_with_a_trace_that_has_none() -> None:
    rows = judge([*counts("traffic", a_cached_trace(STEPS), a_trace(CELLS))])
    assert not {"transactions", "misses"} & {row.quantity for row in rows}


def test_a_comparison_tells_that_the_caches_differ() -> None:
    small, large = (a_cached_trace(STEPS, cache=Cache(size, ways=1)) for size in ("64", "4K"))
    assert "cache" in repr(compare(small, large)._repr_html_())
