import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from made_traffic import OPS, a_spec, a_trace, some_samples

from fame_lab import Traffic, TrafficError
from fame_lab.errors import SpecError
from fame_lab.spec.fam_layout import MAX_NODES

MIB = 1 << 20
#: 64 MiB of 2 nodes: books of 8 MiB, the first four at home on node01, the others on node02.
FAR = 32 * MIB
CELLS = {
    ("load", 1, 0): 10,
    ("load", 1, FAR): 3,
    ("store", 1, FAR): 2,
    ("load", 2, 4096): 7,
    ("store", 2, FAR + 4096): 1000,
    ("load", 2, FAR): 5,
}
TRACE = a_trace(CELLS)


def test_the_matrix_adds_up_by_initiator_and_home() -> None:
    matrix = TRACE.matrix()
    assert matrix.dims == ("op", "initiator", "home") and matrix.dtype == np.uint64
    assert matrix.sel(op="load").values.tolist() == [[10, 3], [7, 5]]
    assert matrix.sel(op="store").values.tolist() == [[0, 2], [0, 1000]]
    assert matrix["home"].values.tolist() == matrix["initiator"].values.tolist() == ["node01", "node02"]
    assert matrix.attrs["units"] == "accesses"


def test_the_matrix_of_bytes_is_of_bytes() -> None:
    matrix = a_trace({("load", 1, 0): (3, 17), ("load", 1, 4096): (0, 7)}).matrix("bytes")
    assert matrix.sel(op="load", initiator="node01", home="node01") == 24
    assert matrix.attrs["units"] == "B"


def test_sums_are_exact_beyond_what_a_float_can_hold() -> None:
    many = 2**53 + 1
    matrix = a_trace({("load", 1, 0): (many, 1), ("load", 1, 4096): (2, 1)}).matrix()
    assert int(matrix[0, 0, 0]) == 2**53 + 3


@settings(deadline=None)
@given(
    st.integers(1, MAX_NODES),
    st.sampled_from(["contiguous", "interleaved"]),
    st.lists(
        st.tuples(st.sampled_from(OPS), st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000)), max_size=30
    ),
)
def test_the_matrix_is_what_one_would_count_by_hand(
    nodes: int, layout: str, touched: list[tuple[str, float, float, int]]
) -> None:
    spec = a_spec(nodes=nodes, layout=layout)
    last = (spec.fam_size - 65536) // 4096 - 1
    cells = {(op, 1 + int(n * (nodes - 1)), int(at * last) * 4096): times for op, n, at, times in touched}
    expected = np.zeros((2, nodes, nodes), "u8")
    for (op, node, offset), times in cells.items():
        home = spec.books.home(offset)
        assert home is not None
        expected[OPS.index(op), node - 1, home] += np.uint64(times)
    counted = a_trace(cells, nodes=nodes, layout=layout).matrix()
    assert counted.values.tolist() == expected.tolist()


def test_the_remote_share_is_told_overall_by_op_and_by_initiator() -> None:
    share = TRACE.remote_share()
    assert float(share["overall"]) == (3 + 2 + 7) / 1027
    assert share["by_op"].values.tolist() == [10 / 25, 2 / 1002]
    assert share["by_initiator"].values.tolist() == [5 / 15, 7 / 1012]
    assert share["share"].values.tolist() == [[3 / 13, 7 / 12], [1, 0]]


def test_where_nothing_was_accessed_there_is_no_share() -> None:
    nothing = a_trace({}).remote_share()
    assert all(np.isnan(nothing[name]).all() for name in nothing.data_vars)
    one = a_trace({("load", 2, 0): 1}).remote_share()
    np.testing.assert_array_equal(one["share"], [[np.nan, 1], [np.nan, np.nan]])
    assert float(one["overall"]) == 1


def test_heat_is_by_operation_node_and_granule() -> None:
    heat = TRACE.heat()
    assert heat.dims == ("op", "node", "granule")
    assert heat["granule"].values.tolist() == [0, 4096, FAR, FAR + 4096]
    assert heat.sel(op="load", node="node02").values.tolist() == [0, 7, 5, 0]
    assert int(TRACE.heat("bytes").sum()) == 8 * 1027


def test_granules_are_sorted_by_who_touches_them() -> None:
    shared = a_trace(
        {
            ("load", 1, 0): 1, ("store", 1, 0): 2,                     # one node: private
            ("load", 1, 4096): 5, ("load", 2, 4096): 6,                # nobody stores
            ("load", 1, 8192): 7, ("store", 2, 8192): 1,               # one stores, another loads
            ("store", 1, 12288): 1, ("store", 2, 12288): 1,            # nobody loads
            ("load", 1, 16384): 0,                                     # nobody at all
            ("load", 1, 20480): 1, ("load", 2, 20480): (0, 4),         # the end of a split load
        }
    ).sharing()  # fmt: skip
    kinds = dict(zip(shared["granule"].values.tolist(), shared["kind_of"].values.tolist(), strict=True))
    assert kinds == {
        0: "private", 4096: "read-shared", 8192: "write-shared", 12288: "write-shared", 20480: "read-shared",
    }  # fmt: skip
    assert shared["granules"].values.tolist() == [1, 2, 2]
    assert shared["accesses"].values.tolist() == [[1, 2], [12, 0], [7, 3]]
    assert shared["bytes"].sel(kind="read-shared").values.tolist() == [100, 0]


def test_the_hottest_come_first_with_home_and_sharers() -> None:
    hottest = TRACE.hottest(3)
    assert hottest["granule"].values.tolist() == [FAR + 4096, 0, FAR]
    assert hottest["accesses"].values.tolist() == [1000, 10, 10]
    assert hottest["home"].values.tolist() == ["node02", "node01", "node02"]
    assert hottest["sharing"].values.tolist() == ["private", "private", "write-shared"]
    assert hottest["loads"].sel(granule=FAR).values.tolist() == [3, 5]
    assert hottest["stores"].sel(granule=FAR).values.tolist() == [2, 0]


def test_there_are_no_more_hottest_than_were_accessed() -> None:
    assert TRACE.hottest(100).sizes["granule"] == 4
    assert a_trace({("load", 1, 0): (0, 3)}).hottest().sizes["granule"] == 0
    assert a_trace({}).hottest().sizes["granule"] == 0


@pytest.mark.parametrize("n", [0, -1, True, 2.5, "all"])
def test_a_number_of_hottest_that_is_none_is_refused(n: object) -> None:
    with pytest.raises(SpecError, match="n is"):
        TRACE.hottest(n)  # type: ignore[arg-type]


def test_the_timeline_has_what_was_added_from_look_to_look() -> None:
    traffic = a_trace(
        CELLS, looks=[(0.5, {("load", 1, 0): 4}), (1.5, {("load", 1, 0): 6, ("store", 2, FAR): 9})]
    )
    added = traffic.over_time()
    assert added.dims == ("time", "op", "node", "bin")
    assert added.sel(op="load", node="node01", bin=0).values.tolist() == [4, 6]
    assert added["time"].values.tolist() == [0.5, 1.5]
    assert int(traffic.over_time("bytes").sum()) == 8 * 19


@pytest.mark.parametrize("name", ["matrix", "heat", "remote_share", "over_time"])
def test_what_is_neither_accesses_nor_bytes_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="'accesses' or 'bytes'"):
        getattr(TRACE, name)("cycles")


SAMPLES = some_samples({0: 2, FAR: 1})


def test_samples_tell_what_changed() -> None:
    assert SAMPLES.changed().values.tolist() == [2, 1]
    assert SAMPLES.changed().attrs["units"] == "looks"
    assert SAMPLES.over_time().dims == ("time", "bin")


@pytest.mark.parametrize("name", ["matrix", "heat", "remote_share", "sharing", "hottest"])
def test_samples_have_no_author_and_the_error_says_what_to_do(name: str) -> None:
    with pytest.raises(TrafficError, match=r"samples have no author.*trace=True.*accel='tcg'"):
        getattr(SAMPLES, name)()
    with pytest.raises(TrafficError, match="samples have no author"):
        SAMPLES.over_time("accesses")


def test_samples_tell_who_stored_where_the_kernel_does() -> None:
    samples = some_samples({0: 2, FAR: 1}, by={0: [2, 0], FAR: [1, 1]})
    assert samples.changed_by().sel(node="node01").values.tolist() == [2, 1]
    with pytest.raises(TrafficError, match="CONFIG_MEM_SOFT_DIRTY"):
        SAMPLES.changed_by()


def test_a_trace_has_no_changes() -> None:
    for name in ("changed", "changed_by"):
        with pytest.raises(TrafficError, match=r"heat\(\)"):
            getattr(TRACE, name)()


def test_repr_tells_the_lab_its_source_and_who_ended_early() -> None:
    assert repr(TRACE) == "<Traffic of 'demo' by trace: 2 nodes, 4 granules of 4K, 0 looks>"
    assert "ended early: node02" in repr(a_trace(CELLS, ended={"node02": "it died"}))
    assert isinstance(TRACE, Traffic) and TRACE.traffic() is TRACE


def test_html_tells_who_accessed_what_and_what_is_not_seen() -> None:
    html = TRACE._repr_html_()
    assert "traced: exact counts" in html
    row = (
        "<tr><th>node02</th><td>5</td><td>7</td><td>1,000</td><td>0</td><td>40</td><td>56</td><td>8,000</td>"
    )
    assert row in html
    assert "<tr><th>write-shared</th><td>1</td><td>8</td><td>2</td></tr>" in html
    assert "sampled: what changed between two looks; no loads, no author" in SAMPLES._repr_html_()


def test_html_escapes_what_came_from_elsewhere() -> None:
    evil = "<script>alert(1)</script>"
    traffic = a_trace(CELLS, ended={"node01": evil})
    traffic.manifest["note"] = evil
    try:
        html = traffic._repr_html_()
    finally:
        del traffic.manifest["note"]
    assert "<script" not in html and html.count("&lt;script") == 2


def test_what_is_given_is_not_changed_by_reading_it() -> None:
    before = TRACE.counts.copy(deep=True)
    for name in ("matrix", "heat", "remote_share", "sharing", "hottest", "over_time", "_repr_html_"):
        getattr(TRACE, name)()
    xr.testing.assert_identical(TRACE.counts, before)
