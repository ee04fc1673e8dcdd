import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from made_traffic import MANIFEST, a_cached_trace, a_crowd, a_trace, some_accesses, some_samples

from fame_lab import Cache, FabricModel
from fame_lab.errors import SpecError, TrafficError

FAR = 32 << 20
MODEL = FabricModel(local_ns=100, remote_ns=400, link_gbps=8)  # a byte a nanosecond


def test_time_is_counts_by_latency_and_remote_bytes_by_bandwidth() -> None:
    projected = a_trace(
        {("load", 1, 0): (10, 80), ("load", 1, FAR): (3, 24), ("store", 2, 0): (2, 5)}
    ).project(MODEL)
    dataset = projected.dataset
    assert dataset["latency_time"].sel(op="load").values.tolist() == [[1000, 1200], [0, 0]]
    assert dataset["latency_time"].sel(op="store").values.tolist() == [[0, 0], [800, 0]]
    assert dataset["transfer_time"].sel(op="load").values.tolist() == [[0, 24], [0, 0]]
    assert dataset["transfer_time"].sel(op="store").values.tolist() == [[0, 0], [5, 0]]
    assert dataset["time"].values.tolist() == [2224, 805]
    assert dataset["latency"].values.tolist() == [[100, 400], [400, 100]]
    assert all(variable.attrs["units"] == "ns" for variable in dataset.data_vars.values())


def test_a_projection_is_linear() -> None:
    cells = {("load", 1, 0): 7, ("store", 2, 0): 3, ("load", 2, FAR): 11}
    once = a_trace(cells).project(MODEL).dataset["time"].values
    thrice = a_trace({cell: 3 * times for cell, times in cells.items()}).project(MODEL).dataset["time"].values
    assert thrice.tolist() == (3 * once).tolist()


def test_a_projection_changes_nothing_and_gives_the_same_again() -> None:
    crowd = a_crowd(100, nodes=4, looks=0)
    before = crowd.counts.copy(deep=True)
    first, again = crowd.project(MODEL), crowd.project(MODEL)
    assert first.dataset.identical(again.dataset) and crowd.counts.identical(before)


def test_hops_add_to_what_a_node_s_own_memory_takes() -> None:
    hops = ((1, 3, 5), (3, 1, 5), (5, 5, 1))
    model = FabricModel(local_ns=100, hop_ns=50, hops=hops, link_gbps=100)
    assert model.latency(3).tolist() == [[100, 200, 300], [200, 100, 300], [300, 300, 100]]


def test_the_machine_has_enclosures_of_ten() -> None:
    model = FabricModel.the_machine(40, local_ns=100, hop_ns=10, link_gbps=100)
    assert model.hops is not None
    assert [model.hops[0][home] for home in (0, 1, 9, 10, 39)] == [1, 3, 3, 5, 5]
    assert [model.hops[39][home] for home in (39, 30, 29)] == [1, 3, 5]
    latency = model.latency(40)
    assert sorted(set(latency.ravel().tolist())) == [100, 120, 140]
    assert (latency == 100).sum() == 40 and (latency == 120).sum() == 40 * 9 and (latency == latency.T).all()


def test_presets_have_published_figures_and_name_their_source() -> None:
    pond = FabricModel.pond()
    assert (pond.local_ns, pond.remote_ns, pond.link_gbps) == (78, 142, 252)
    assert "Li et al., ASPLOS 2023" in pond.source
    gen_z = FabricModel.gen_z(local_ns=78)
    assert (gen_z.remote_ns, gen_z.link_gbps) == (400, 240) and "AnandTech" in gen_z.source


def test_no_nanosecond_has_a_default() -> None:
    for wanting in (
        {},
        {"local_ns": 100},
        {"local_ns": 100, "remote_ns": 300},
        {"link_gbps": 1, "remote_ns": 3},
    ):
        with pytest.raises(TypeError, match="required keyword-only"):
            FabricModel(**wanting)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="required keyword-only"):
        FabricModel.the_machine(2)  # type: ignore[call-arg]


GOOD: dict[str, Any] = {"local_ns": 100, "remote_ns": 400, "link_gbps": 100}
HOPS: dict[str, Any] = {"local_ns": 100, "hop_ns": 50, "hops": ((0, 1), (1, 0)), "link_gbps": 100}


@pytest.mark.parametrize("field", ["local_ns", "remote_ns", "link_gbps"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, True, "100", []])
def test_a_figure_that_cannot_be_right_is_refused(field: str, value: object) -> None:
    with pytest.raises(SpecError, match=f"{field} is"):
        FabricModel(**GOOD | {field: value})


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (GOOD | {"remote_ns": None}, "give the one or the other"),
        (HOPS | {"remote_ns": 400}, "give the one or the other"),
        (HOPS | {"hops": None}, "hop_ns and hops together"),
        (GOOD | {"hops": ((0,),)}, "hop_ns and hops together"),
        (GOOD | {"remote_ns": 50}, "no fabric is quicker"),
        (GOOD | {"source": 3}, "source is 3"),
        (HOPS | {"hop_ns": 0}, "hop_ns is 0"),
        (HOPS | {"hops": 3}, "hops is 3"),
        (HOPS | {"hops": ()}, "as many in a row as there are rows"),
        (HOPS | {"hops": ((0, 1), (1,))}, "as many in a row as there are rows"),
        (HOPS | {"hops": ((0, 1.5), (1, 0))}, "hops of node 1"),
        (HOPS | {"hops": ((0, 1), (-1, 0))}, "hops of node 2"),
        (HOPS | {"hops": ((2, 1), (1, 0))}, "no node is nearer than its own memory"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        FabricModel(**fields)


@pytest.mark.parametrize(
    ("nodes", "more", "complaint"),
    [
        (0, {}, "nodes is 0"),
        (41, {}, "nodes is 41"),
        (2, {"enclosure": 0}, "enclosure"),
        (2, {"hops": 3}, "hops is 3"),
    ],
)
def test_enclosures_that_cannot_be_are_refused(nodes: int, more: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        FabricModel.the_machine(nodes, local_ns=100, hop_ns=50, link_gbps=100, **more)


def test_a_model_of_another_number_of_nodes_is_refused() -> None:
    with pytest.raises(SpecError, match="hops are of 3 nodes, and the lab has 2"):
        a_trace({}).project(FabricModel.the_machine(3, local_ns=100, hop_ns=50, link_gbps=100))


def test_samples_cannot_be_projected() -> None:
    with pytest.raises(TrafficError, match="samples have no author"):
        some_samples({0: 1}).project(MODEL)


@pytest.mark.parametrize("nodes", [1, 2, 4, 40])
def test_the_figure_says_that_it_is_projected_from_which_figures(nodes: int) -> None:
    figure = a_crowd(60, nodes=nodes, looks=0).project(FabricModel.pond()).plot()
    foot = figure.get_supxlabel()
    assert foot.startswith("projected: computed from counts, not measured")
    assert "bytes * 8 / link_gbps" in foot and "\nLi et al., ASPLOS 2023; PCIe 5.0 x8" in foot
    assert figure.get_suptitle().startswith("Projected")
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_nothing_costs_nothing_and_can_be_drawn() -> None:
    projected = a_trace({}).project(MODEL)
    assert projected.dataset["time"].values.tolist() == [0, 0]
    projected.plot().draw_without_rendering()


def test_a_projection_keeps_its_model_and_the_recording_s_provenance() -> None:
    manifest = a_trace({}).project(MODEL).manifest
    assert manifest["model"]["remote_ns"] == 400 and manifest["traffic"] == MANIFEST
    assert manifest["projected"].startswith("projected")


def test_a_projection_shows_itself_escaped_and_labelled() -> None:
    evil = "<script>alert(1)</script>"
    model = FabricModel(local_ns=100, remote_ns=400, link_gbps=8, source=evil)
    projected = a_trace({("load", 1, FAR): 1000}).project(model)
    html = projected._repr_html_()
    assert "projected: computed from counts, not measured" in html
    assert "<tr><th>node01</th><td>400,000</td><td>8,000</td><td>408,000</td></tr>" in html
    assert "<script" not in html
    assert "at most 408,000 ns" in repr(projected)


def test_figures_may_be_numpy_s() -> None:
    figures: dict[str, Any] = {"local_ns": np.float32(80), "remote_ns": np.int64(90), "link_gbps": 1}
    fields = FabricModel(**figures).to_dict()
    assert json.loads(json.dumps(fields))["remote_ns"] == 90


# Node 1 stores to its own memory, and node 2 takes that line. It reads another one in the same set, so the
# first is written back. Node 1 takes the second line, and writes it back as node 2 reads it. Then both share
# it, and node 1 stores to it once more.
CACHED = a_cached_trace(
    [(0, 0, 8, "store"), (1, 0, 8, "store"), (1, FAR, 8, "load"), (0, FAR, 8, "store"), (1, FAR, 8, "load"),
     (0, FAR, 8, "store")]
)  # fmt: skip


def parts_of(projected: Any, part: str) -> dict[tuple[str, int, int], float]:
    values = projected.dataset[part]
    return {
        (str(values["kind"].values[k]), i + 1, h + 1): float(value)
        for (k, i, h), value in np.ndenumerate(values.values)
        if value
    }


def test_time_of_transactions_is_charged_by_kind() -> None:
    projected = CACHED.project(MODEL)
    assert parts_of(projected, "latency_time") == {
        ("fill_ownership", 1, 1): 100, ("forward", 2, 1): 400, ("fill", 2, 2): 100,
        ("fill_ownership", 1, 2): 400, ("forward", 2, 2): 100, ("upgrade", 1, 2): 400,
    }  # fmt: skip
    # 64 bytes at a byte a nanosecond, to another node alone; a write-back is sent, and nobody waits for it.
    assert parts_of(projected, "transfer_time") == {
        ("forward", 2, 1): 64, ("fill_ownership", 1, 2): 64, ("write_back", 1, 2): 64,
        ("write_back", 2, 1): 64,
    }  # fmt: skip
    assert projected.dataset["time"].values.tolist() == [100 + 400 + 400 + 2 * 64, 400 + 100 + 100 + 2 * 64]


def test_an_atomic_in_memory_waits_and_moves_no_line() -> None:
    cache = Cache("4K", ways=1, atomics="memory")
    projected = a_cached_trace([(0, FAR, 8, "locked")] * 3, cache=cache).project(MODEL)
    assert parts_of(projected, "latency_time") == {("atomic", 1, 2): 1200}
    assert parts_of(projected, "transfer_time") == {}


def test_a_projection_of_accesses_is_what_it_was_without_a_cache() -> None:
    accesses = some_accesses(200)
    cached = a_cached_trace(accesses)
    without = dataclasses.replace(
        cached,
        caches=None,
        counts=cached.counts.drop_dims(["kind", "cause"]),
        timeline=cached.timeline.drop_dims(["kind", "cause"]),
    )
    of_accesses = cached.project(MODEL, of="accesses")
    assert of_accesses.dataset.identical(without.project(MODEL).dataset)
    assert of_accesses.manifest == without.project(MODEL).manifest
    assert of_accesses.cache is None


def test_with_a_cache_transactions_are_charged_unless_accesses_are_asked_for() -> None:
    assert CACHED.project(MODEL).manifest["of"] == "transactions"
    assert CACHED.project(MODEL, of="transactions").dataset.identical(CACHED.project(MODEL).dataset)
    assert CACHED.project(MODEL, of="accesses").manifest["accesses"] == 6


def test_transactions_that_were_not_counted_cannot_be_projected() -> None:
    with pytest.raises(TrafficError, match="recorded without a cache"):
        a_trace({}).project(MODEL, of="transactions")


@pytest.mark.parametrize("of", ["x", "", None, 3])
def test_anything_else_cannot_be_projected(of: Any) -> None:
    with pytest.raises(SpecError, match=r"of is .*give 'auto', 'transactions' or 'accesses'"):
        CACHED.project(MODEL, of=of)


def test_a_projection_from_accesses_alone_is_an_upper_bound() -> None:
    for of, bound in (("accesses", True), ("transactions", False)):
        projected = CACHED.project(MODEL, of=of)  # type: ignore[arg-type]
        for text in (
            projected.manifest["projected"],
            projected._repr_html_(),
            projected.plot().get_supxlabel(),
        ):
            assert ("upper bound" in text) is bound
            assert ("no caches" in text) is bound


def test_a_projection_of_transactions_names_its_cache_and_their_number() -> None:
    projected = CACHED.project(MODEL)
    count = int(CACHED.transactions().sum())
    n = f"n = {count} transactions; 4K cache a node, 1 way, LRU, hardware coherence"
    assert n in projected.plot().get_supxlabel()
    assert n in projected._repr_html_()
    assert projected.cache == CACHED.cache


def test_a_projection_of_a_recording_whose_manifest_is_lost_names_its_cache_too() -> None:
    projected = dataclasses.replace(CACHED, manifest={}).project(MODEL)
    assert "4K cache a node" in projected.plot().get_supxlabel()
