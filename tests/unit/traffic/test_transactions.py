"""Traffic with a cache: its views, its checks, and a directory of it."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from made_traffic import a_cached_trace, a_trace, some_accesses, some_samples
from reference_caches import Access

from fame_lab import Cache, FabricModel, Traffic
from fame_lab.errors import SpecError, TrafficError
from fame_lab.traffic.snapshot import of_counters, of_traffic
from fame_lab.traffic.transactions.layout import CAUSES, COUNTS, KINDS

MIB = 1 << 20
FAR = 32 * MIB
#: Two nodes store to other bytes of a line of node 1 in turn; then each reads a line of the other.
STEPS: list[Access] = [
    (0, 0, 8, "store"), (1, 8, 8, "store"), (0, 0, 8, "store"), (1, 8, 8, "store"),
    (0, FAR, 8, "load"), (1, FAR + 4096, 16, "load"), (1, 4096, 8, "load"), (0, FAR + 60, 8, "load"),
]  # fmt: skip
TRAFFIC = a_cached_trace(STEPS)
CROWD = a_cached_trace(some_accesses(400, nodes=3), nodes=3, looks=4, cache=Cache("1K", ways=2))


def of(values: xr.DataArray, **where: str) -> dict[str, int]:
    chosen = values.sel(where)
    return {str(n): int(c) for n, c in zip(chosen[chosen.dims[0]].values, chosen.values, strict=True) if c}


def test_transactions_are_by_kind_initiator_and_home() -> None:
    transactions = TRAFFIC.transactions()
    assert transactions.dims == ("kind", "initiator", "home")
    assert transactions.shape == (len(KINDS), 2, 2)
    assert transactions.dtype == np.uint64
    assert transactions["kind"].values.tolist() == list(KINDS)
    assert of(transactions, initiator="node01", home="node01") == {
        "fill_ownership": 1, "forward": 1, "invalidate": 1,
    }  # fmt: skip
    assert of(transactions, initiator="node01", home="node02") == {"fill": 2}
    # Line 64 evicts line 0, which node 2 had changed, from a cache of 64 sets of one way.
    assert of(transactions, initiator="node02", home="node01") == {
        "fill": 1, "forward": 2, "invalidate": 2, "write_back": 1,
    }  # fmt: skip


def test_misses_are_by_cause_and_as_many_as_lines_were_brought() -> None:
    misses = CROWD.misses()
    assert misses.dims == ("cause", "initiator", "home")
    assert misses.dtype == np.uint64
    assert misses["cause"].values.tolist() == list(CAUSES)
    brought = CROWD.transactions().sel(kind=["fill", "fill_ownership", "forward"]).sum("kind")
    assert misses.sum("cause").values.tolist() == brought.values.tolist()
    assert int(misses.sum()) > 0


def test_invalidations_are_by_victim_and_as_many_as_were_sent() -> None:
    invalidations = CROWD.invalidations()
    assert invalidations.dims == ("initiator", "victim")
    assert invalidations.dtype == np.uint64
    sent = CROWD.transactions().sel(kind="invalidate").sum("home")
    assert invalidations.sum("victim").values.tolist() == sent.values.tolist()
    assert not np.diag(invalidations.values).any()
    assert TRAFFIC.invalidations().values.tolist() == [[0, 1], [2, 0]]


def test_false_sharing_has_the_bytes_of_victim_and_takers_the_most_frequent_first() -> None:
    rows = TRAFFIC.false_sharing()
    assert rows.to_dict("records") == [
        {"offset": 0, "home": "node01", "victim": "node01", "takers": "node02", "false_sharing": 2,
         "sharing": 0, "victim_bytes": "0-7", "takers_bytes": "8-15"},
        {"offset": 0, "home": "node01", "victim": "node02", "takers": "node01", "false_sharing": 1,
         "sharing": 0, "victim_bytes": "8-15", "takers_bytes": "0-7"},
    ]  # fmt: skip


def test_lines_that_share_their_bytes_are_not_falsely_shared() -> None:
    assert a_cached_trace([(0, 0, 8, "store"), (1, 0, 8, "store"), (0, 0, 8, "load")]).false_sharing().empty


def test_false_sharing_of_a_crowd_is_sorted_and_named() -> None:
    rows = CROWD.false_sharing()
    assert len(rows) > 1
    assert rows["false_sharing"].is_monotonic_decreasing
    assert set(rows["home"]) | set(rows["victim"]) <= set(CROWD.nodes)


@pytest.mark.parametrize("what", ["transactions", "misses"])
def test_heat_has_the_same_sums_by_granule(what: str) -> None:
    heat, view = CROWD.heat(what), getattr(CROWD, what)()
    assert heat.dims == (view.dims[0], "node", "granule")
    assert heat.dtype == np.uint64 and heat.attrs["units"] == what
    assert heat.sum("granule").values.tolist() == view.sum("home").values.tolist()


@pytest.mark.parametrize("what", ["transactions", "misses"])
def test_increments_over_time_add_up_to_all(what: str) -> None:
    times, view = CROWD.over_time(what), getattr(CROWD, what)()
    assert times.dims == ("time", view.dims[0], "node", "bin")
    assert times.dtype == np.uint64 and times.attrs["units"] == what
    assert times.sum(("time", "bin")).values.tolist() == view.sum("home").values.tolist()


def test_a_snapshot_has_the_lines_that_moved() -> None:
    lines = of_traffic(TRAFFIC).lines
    assert lines is not None
    assert lines.tolist() == [[2, 2], [4, 1]]
    assert of_traffic(a_trace({})).lines is None


def test_a_snapshot_of_a_running_recording_has_them_by_home_without_the_control_area() -> None:
    books = TRAFFIC.books
    tallies = np.zeros(books.count, [("loads", "u8"), ("stores", "u8")])
    by_book = np.zeros((2, books.count), COUNTS)
    for at, kind in enumerate(KINDS):
        by_book[kind][0, 0] = (
            10**at
        )  # of node 1, in the first book: fill, fill_ownership, forward, write_back
    by_book["fill"][1, books.count - 1] = 5
    counters: Any = {name: SimpleNamespace(books=lambda: tallies) for name in TRAFFIC.nodes}
    transactions: Any = SimpleNamespace(books=lambda: by_book)
    snapshot = of_counters(counters, books, transactions)
    assert snapshot.lines is not None
    assert snapshot.lines.dtype == np.uint64
    assert snapshot.lines.tolist() == [[1111, 0], [0, 5]]
    assert of_counters(counters, books).lines is None


@pytest.mark.parametrize("cache", [Cache("4K", coherence="software"), Cache("1K", atomics="memory")])
def test_other_caches_can_be_looked_at_too(cache: Cache) -> None:
    traffic = a_cached_trace(some_accesses(200), cache=cache)
    assert traffic.cache == cache
    assert int(traffic.transactions().sum()) > 0
    traffic.plot("transactions").draw_without_rendering()


@pytest.mark.parametrize("traffic", [TRAFFIC, CROWD, a_cached_trace([], looks=0)])
def test_what_is_saved_is_what_is_loaded(tmp_path: Path, traffic: Traffic) -> None:
    loaded = Traffic.load(traffic.save(tmp_path / "kept"))
    assert loaded.caches is not None and traffic.caches is not None
    xr.testing.assert_identical(loaded.caches, traffic.caches)
    xr.testing.assert_identical(loaded.counts, traffic.counts)
    xr.testing.assert_identical(loaded.timeline, traffic.timeline)
    assert {n: v.dtype for n, v in loaded.caches.items()} == {n: v.dtype for n, v in traffic.caches.items()}
    assert loaded.cache == traffic.cache
    assert loaded.false_sharing().equals(traffic.false_sharing())


def test_lost_lines_of_which_the_last_bytes_were_used_are_loaded(tmp_path: Path) -> None:
    steps: list[Access] = [(node, 64 * line + 56, 8, "store") for line in range(4) for node in (0, 1)]
    loaded = Traffic.load(a_cached_trace(steps).save(tmp_path / "kept"))
    assert set(loaded.false_sharing()["victim_bytes"]) <= {"56-63"}
    assert loaded.caches is not None and loaded.caches.sizes["loss"] == 4


def test_a_directory_without_caches_is_loaded_as_before(tmp_path: Path) -> None:
    place = a_trace({("load", 1, 0): 3}).save(tmp_path / "kept")
    assert sorted(path.name for path in place.iterdir()) == ["counts.nc", "manifest.json", "timeline.nc"]
    assert Traffic.load(place).caches is None


def test_traffic_without_caches_leaves_none_of_earlier_traffic(tmp_path: Path) -> None:
    TRAFFIC.save(tmp_path / "kept")
    a_trace({}).save(tmp_path / "kept")
    assert Traffic.load(tmp_path / "kept").caches is None
    assert not (tmp_path / "kept" / "caches.nc").exists()


@pytest.mark.parametrize("broken", [b"", b"other", None])
def test_caches_that_are_not_as_they_were_saved_are_not_loaded(tmp_path: Path, broken: bytes | None) -> None:
    place = TRAFFIC.save(tmp_path / "kept")
    (place / "caches.nc").unlink()
    if broken is not None:
        (place / "caches.nc").write_bytes(broken)
    with pytest.raises(TrafficError, match=r"holds no traffic that can be read: .*caches\.nc"):
        Traffic.load(place)


def test_caches_that_the_manifest_forgets_are_an_error(tmp_path: Path) -> None:
    place = TRAFFIC.save(tmp_path / "kept")
    manifest = json.loads((place / "manifest.json").read_text())
    del manifest["sha256"]["caches.nc"]
    (place / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TrafficError, match="transactions without caches"):
        Traffic.load(place)


def test_a_file_whose_attributes_are_no_cache_s_is_not_loaded(tmp_path: Path) -> None:
    caches = TRAFFIC.caches
    assert caches is not None
    place = TRAFFIC.save(tmp_path / "kept")
    caches.assign_attrs(ways=[1, 2]).to_netcdf(place / "caches.nc", engine="h5netcdf")
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["sha256"]["caches.nc"] = hashlib.sha256((place / "caches.nc").read_bytes()).hexdigest()
    (place / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TrafficError, match="its attributes are no cache's: ways is"):
        Traffic.load(place)


def caches_with(**variables: Any) -> xr.Dataset:
    caches = TRAFFIC.caches
    assert caches is not None
    return caches.assign({n: (caches[n].dims, np.array(values)) for n, values in variables.items()})


def caches() -> xr.Dataset:
    return caches_with()


WRONG: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "caches without transactions": (
        lambda: {"counts": TRAFFIC.counts.drop_dims(["kind", "cause"])}, "counts has transactions",
    ),
    "caches without misses": (
        lambda: {"counts": TRAFFIC.counts.drop_dims("cause")}, "counts has transactions without caches",
    ),
    "caches without transactions over time": (
        lambda: {"timeline": TRAFFIC.timeline.drop_dims(["kind", "cause"])}, "timeline has transactions",
    ),
    "transactions without caches": (lambda: {"caches": None}, "counts has transactions without caches"),
    "caches that are none": (lambda: {"caches": {}}, "caches is a dict"),
    "other kinds": (
        lambda: {"counts": TRAFFIC.counts.assign_coords(kind=[*"abcdefg"])}, "counts: kind is not fill",
    ),
    "other causes": (
        lambda: {"timeline": TRAFFIC.timeline.assign_coords(cause=[*"abc"])}, "timeline: cause is not cold",
    ),
    "signed transactions": (
        lambda: {"counts": TRAFFIC.counts.assign(misses=TRAFFIC.counts["misses"].astype("i8"))},
        "misses is int64",
    ),
    "transactions over other dimensions": (
        lambda: {"counts": TRAFFIC.counts.transpose("node", ...).assign(
            {n: TRAFFIC.counts[n] for n in ("accesses", "bytes", "misses")})}, "transactions is uint64 over",
    ),
    "no evictions": (lambda: {"caches": caches().drop_vars("evictions")}, "caches: evictions is missing"),
    "something more": (lambda: {"caches": caches().assign(more=1)}, "more is missing, or one too many"),
    "totals with a sign": (lambda: {"caches": caches_with(drops=[0, -1])}, "drops is int64"),
    "totals with a fraction": (lambda: {"caches": caches_with(resident=[0.5, 1.0])}, "resident is float64"),
    "invalidations turned round": (
        lambda: {"caches": caches().transpose("victim", ...)}, "invalidations is uint64 over",
    ),
    "other victims": (lambda: {"caches": caches().assign_coords(victim=["a", "b"])}, "victim is not node01"),
    "no nodes": (lambda: {"caches": caches().drop_vars("node")}, "caches: node is not node01"),
    "a lost line in the control area": (
        lambda: {"caches": caches_with(loss_line=np.array([0, 64 * MIB - 65536], "u8"))}, "outside FAM",
    ),
    "a lost line beyond FAM": (
        lambda: {"caches": caches_with(loss_line=np.array([0, 1 << 63], "u8"))}, "outside FAM",
    ),
    "half a lost line": (lambda: {"caches": caches_with(loss_line=np.array([0, 32], "u8"))}, "no line"),
    "a loss of no node": (lambda: {"caches": caches_with(loss_node=np.array([0, 2], "u4"))}, "of no node"),
    "a taker beyond the nodes": (
        lambda: {"caches": caches_with(takers=np.array([1, 4], "u8"))}, "a node that the lab does not have",
    ),
    "no cache at all": (lambda: {"caches": caches().drop_attrs()}, "attributes are no cache's"),
    "an attribute too many": (lambda: {"caches": caches().assign_attrs(more=1)}, "attributes are no cache's"),
    "a size that is none": (lambda: {"caches": caches().assign_attrs(size="3K")}, "no cache's: size is '3K'"),
    "a coherence that is none": (
        lambda: {"caches": caches().assign_attrs(coherence=np.array(["a", "b"]))}, "no cache's: coherence is",
    ),
    "a cache larger than FAM": (lambda: {"caches": caches().assign_attrs(size="128M")}, "larger than FAM"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_together_is_refused(name: str) -> None:
    changes, complaint = WRONG[name]
    with pytest.raises(TrafficError, match=complaint):
        dataclasses.replace(TRAFFIC, **changes())


def test_samples_have_no_caches() -> None:
    with pytest.raises(TrafficError, match="caches without transactions"):
        dataclasses.replace(some_samples({0: 1}), caches=caches())


VIEWS: dict[str, Callable[[Traffic], object]] = {
    "transactions": lambda traffic: traffic.transactions(),
    "misses": lambda traffic: traffic.misses(),
    "invalidations": lambda traffic: traffic.invalidations(),
    "false_sharing": lambda traffic: traffic.false_sharing(),
    "heat": lambda traffic: traffic.heat("transactions"),
    "heat of misses": lambda traffic: traffic.heat("misses"),
    "over time": lambda traffic: traffic.over_time("transactions"),
    "plot": lambda traffic: traffic.plot("transactions"),
    "project": lambda traffic: traffic.project(FabricModel.pond(), of="transactions"),
    "to_parquet": lambda traffic: traffic.to_parquet("/nowhere/t", "transactions"),
}


@pytest.mark.parametrize("name", VIEWS)
def test_without_a_cache_each_view_says_what_to_record(name: str) -> None:
    with pytest.raises(TrafficError, match="recorded without a cache") as refused:
        VIEWS[name](a_trace({("load", 1, 0): 1}))
    assert refused.value.hint == 'lab.record(cache=Cache("1M")), or `fame-lab trace --cache 1M`'


def test_samples_have_no_transactions() -> None:
    for ask in (Traffic.transactions, Traffic.misses, Traffic.invalidations, Traffic.false_sharing):
        with pytest.raises(TrafficError, match="without a cache"):
            ask(some_samples({0: 1}))


def test_a_matrix_is_of_accesses_and_refers_to_transactions_by_name() -> None:
    with pytest.raises(SpecError, match="what is 'transactions'"):
        TRAFFIC.matrix("transactions")
