import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from made_traffic import MANIFEST, a_cached_trace, a_crowd, a_trace, some_accesses, some_samples

from fame_lab import Cache
from fame_lab.errors import HostError, SpecError, TrafficError

FAR = 32 << 20
TRACE = a_trace({("load", 1, 0): (10, 80), ("store", 2, FAR): (3, 5), ("load", 2, FAR): (0, 4)})


def test_there_is_a_row_for_each_node_operation_and_granule_that_has_any(tmp_path: Path) -> None:
    table = pq.read_table(TRACE.to_parquet(tmp_path / "new" / "traffic.parquet"))
    assert table.column_names == ["node", "op", "offset", "home", "accesses", "bytes"]
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("node01", "load", 0, "node01", 10, 80),
        ("node02", "load", FAR, "node02", 0, 4),
        ("node02", "store", FAR, "node02", 3, 5),
    ]


def test_the_schema_tells_units_and_source(tmp_path: Path) -> None:
    schema = pq.read_schema(TRACE.to_parquet(tmp_path / "traffic.parquet"))
    assert str(schema.field("bytes").type) == str(schema.field("accesses").type) == "uint64"
    assert schema.field("offset").metadata[b"units"] == b"B"
    metadata = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    assert metadata["source"] == "trace" and metadata["granule"] == "4096"
    assert json.loads(metadata["units"]) == {"offset": "B", "accesses": "accesses", "bytes": "B"}
    assert json.loads(metadata["manifest"]) == MANIFEST and json.loads(metadata["spec"]) == TRACE.spec


def test_sums_of_the_table_are_sums_of_the_matrix(tmp_path: Path) -> None:
    crowd = a_crowd(400, nodes=5, layout="interleaved")
    rows = pq.read_table(crowd.to_parquet(tmp_path / "t.parquet")).to_pandas()
    matrix = crowd.matrix("bytes")
    for (op, node, home), total in rows.groupby(["op", "node", "home"], observed=True)["bytes"].sum().items():
        assert total == int(matrix.sel(op=op, initiator=node, home=home))
    assert rows["bytes"].sum() == int(matrix.sum())


def test_samples_tell_what_changed(tmp_path: Path) -> None:
    table = pq.read_table(some_samples({0: 2, FAR: 1}).to_parquet(tmp_path / "t.parquet"))
    assert table.to_pylist() == [
        {"offset": 0, "home": "node01", "changed": 2},
        {"offset": FAR, "home": "node02", "changed": 1},
    ]


def test_nothing_makes_a_table_without_rows(tmp_path: Path) -> None:
    assert pq.read_table(a_trace({}).to_parquet(tmp_path / "t.parquet")).num_rows == 0


def test_a_file_is_replaced_and_a_directory_is_not(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("earlier")
    TRACE.to_parquet(tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").num_rows == 3
    (tmp_path / "directory").mkdir()
    with pytest.raises(HostError, match="cannot write"):
        TRACE.to_parquet(tmp_path / "directory")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["directory", "t.parquet"]


CACHED = a_cached_trace([(0, 0, 8, "store"), (1, 8, 8, "store"), (0, FAR, 8, "load"), (0, 0, 8, "load")])


def test_transactions_have_a_row_for_each_node_kind_and_granule(tmp_path: Path) -> None:
    table = pq.read_table(CACHED.to_parquet(tmp_path / "t.parquet", "transactions"))
    assert table.column_names == ["node", "kind", "offset", "home", "transactions"]
    assert sorted(tuple(row.values()) for row in table.to_pylist()) == [
        ("node01", "fill", FAR, "node02", 1),
        ("node01", "fill_ownership", 0, "node01", 1),
        ("node01", "forward", 0, "node01", 1),
        ("node02", "forward", 0, "node01", 1),
        ("node02", "invalidate", 0, "node01", 1),
        ("node02", "write_back", 0, "node01", 1),
    ]


def test_misses_have_a_row_for_each_node_cause_and_granule(tmp_path: Path) -> None:
    table = pq.read_table(CACHED.to_parquet(tmp_path / "t.parquet", what="misses"))
    assert table.column_names == ["node", "cause", "offset", "home", "misses"]
    assert sorted(tuple(row.values()) for row in table.to_pylist()) == [
        ("node01", "coherence", 0, "node01", 1),
        ("node01", "cold", 0, "node01", 1),
        ("node01", "cold", FAR, "node02", 1),
        ("node02", "cold", 0, "node01", 1),
    ]


@pytest.mark.parametrize("what", ["transactions", "misses"])
def test_sums_of_the_table_are_sums_of_the_view(tmp_path: Path, what: str) -> None:
    crowd = a_cached_trace(some_accesses(300, nodes=3), nodes=3)
    rows = pq.read_table(crowd.to_parquet(tmp_path / "t.parquet", what)).to_pandas()  # type: ignore[arg-type]
    view = getattr(crowd, what)()
    assert rows[what].sum() == int(view.sum())
    assert rows[rows["node"] == "node02"][what].sum() == int(view.sel(initiator="node02").sum())


@pytest.mark.parametrize("what", ["accesses", "transactions", "misses"])
def test_the_schema_tells_the_cache_and_the_unit(tmp_path: Path, what: str) -> None:
    schema = pq.read_schema(CACHED.to_parquet(tmp_path / "t.parquet", what))  # type: ignore[arg-type]
    assert Cache(**json.loads(schema.metadata[b"cache"])) == CACHED.cache
    assert schema.field(what).metadata[b"units"] == what.encode()


def test_accesses_of_a_recording_with_a_cache_are_those_without(tmp_path: Path) -> None:
    table = pq.read_table(CACHED.to_parquet(tmp_path / "t.parquet"))
    assert table.column_names == ["node", "op", "offset", "home", "accesses", "bytes"]


def test_what_was_not_recorded_is_refused_and_an_earlier_file_stays(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("earlier")
    for traffic in (TRACE, some_samples({0: 1})):
        with pytest.raises(TrafficError, match="recorded without a cache"):
            traffic.to_parquet(tmp_path / "t.parquet", "transactions")
    with pytest.raises(SpecError, match="what is 'bytes': give 'accesses' or 'transactions' or 'misses'"):
        CACHED.to_parquet(tmp_path / "t.parquet", "bytes")  # type: ignore[arg-type]
    assert (tmp_path / "t.parquet").read_text() == "earlier"
