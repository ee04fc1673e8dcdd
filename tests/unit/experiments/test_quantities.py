import numpy as np
import pytest
import xarray as xr
from made_results import a_chase

from fame_lab.errors import SpecError
from fame_lab.experiments.compare.quantities import ExactPoint, MeasuredPoint, only_in_one, points


def sampled(a: xr.Dataset, b: xr.Dataset) -> dict[tuple[object, ...], MeasuredPoint]:
    all_points = points("made", a, b)
    return {
        (each.quantity, *each.at.values()): each for each in all_points if isinstance(each, MeasuredPoint)
    }


def counted(a: xr.Dataset, b: xr.Dataset) -> dict[tuple[object, ...], tuple[int, int]]:
    all_points = points("made", a, b)
    return {
        (each.quantity, *each.at.values()): (each.a, each.b)
        for each in all_points
        if isinstance(each, ExactPoint)
    }


def a_dataset(**variables: object) -> xr.Dataset:
    return xr.Dataset(variables, coords={"node": ["node01", "node02"]})


def test_batches_are_the_sample_and_all_else_is_the_place() -> None:
    samples = sampled(a_chase().dataset, a_chase(1).dataset)
    assert set(samples) == {("latency", memory, size) for memory in ("dram", "fam") for size in (4096, 65536)}
    assert {each.a.n for each in samples.values()} == {50}
    assert {each.units for each in samples.values()} == {"ns"}


def test_labels_are_matched_whatever_their_order() -> None:
    dataset = a_chase().dataset
    turned = dataset.isel(memory=[1, 0], working_set=[1, 0]).transpose(..., "memory")
    for each in sampled(dataset, turned).values():
        assert each.a.values.tolist() == each.b.values.tolist()


def test_what_only_one_has_is_named_and_the_rest_compared() -> None:
    a, b = a_chase(sets=(4096, 8192)).dataset, a_chase(sets=(4096, 65536)).dataset
    b = b.assign(jitter=b["latency"])
    assert set(sampled(a, b)) == {("latency", "dram", 4096), ("latency", "fam", 4096)}
    assert only_in_one(a, b) == {"a": ["working_set 8192"], "b": ["working_set 65536", "jitter"]}


def test_one_label_of_a_result_meets_the_same_label_among_several() -> None:
    several = a_chase().dataset
    one = several.sel(memory="fam")
    for matches in (points("made", several, one), points("made", one, several)):
        places = [each.at for each in matches if isinstance(each, MeasuredPoint)]
        assert sorted(place["working_set"] for place in places) == [4096, 65536]
        assert {place["memory"] for place in places} == {"fam"}
    assert only_in_one(several, one) == {"a": ["memory 'dram'"], "b": []}


def test_what_was_not_measured_is_left_out_of_a_sample_and_an_empty_one_is_no_point() -> None:
    a = a_chase().dataset
    holes = a["latency"].where(a["memory"] == "fam")
    holes[1, 0, :7] = np.nan
    b = a.assign(latency=holes.assign_attrs(a["latency"].attrs))
    samples = sampled(a, b)
    assert set(samples) == {("latency", "fam", 4096), ("latency", "fam", 65536)}
    assert (samples["latency", "fam", 4096].a.n, samples["latency", "fam", 4096].b.n) == (50, 43)


def test_repeats_of_a_sweep_are_one_sample_in_their_order() -> None:
    dataset = a_chase().dataset
    swept = xr.concat([dataset, dataset + 1], dim="repeat").assign_coords(repeat=[0, 1])
    swept["latency"].attrs = dataset["latency"].attrs
    values = sampled(swept, dataset)["latency", "dram", 4096].a.values
    first = dataset["latency"].values[0, 0]
    assert values.tolist() == [*first, *(first + 1)]


def test_updates_lost_are_found_from_what_was_expected_and_what_was_held() -> None:
    counts = ("node", np.array([9, 10], "u8"))
    a = a_dataset(expected=("node", np.array([10, 10], "i8")), held=counts)
    b = a_dataset(expected=("node", np.array([9, 10], "u8")), held=counts)
    assert counted(a, b) == {
        ("failed",): (0, 0), ("lost", "node01"): (1, 0), ("lost", "node02"): (0, 0),
    }  # fmt: skip


def test_how_often_something_was_done_is_not_compared() -> None:
    dataset = a_dataset(attempts=("node", [1.0, 2.0]), elapsed=("node", [1.0, 2.0], {"units": "ns"}))
    assert set(counted(dataset, dataset)) == {("failed",)}
    assert not sampled(dataset, dataset)


def test_counts_that_a_race_decided_are_not_compared() -> None:
    dataset = xr.Dataset(
        {
            "retries": (("workload", "node"), [[0, 0], [0, 3], [0, 0]]),
            "loads": ("workload", np.array([5, 6, 7], "u8")),
            "errors": ("workload", [0, 0, 1]),
        },
        coords={"workload": ["sequential", "kv", "gups"], "node": ["node01", "node02"]},
    )
    alone = dataset.isel(node=[0])
    assert set(counted(dataset, dataset)) == {
        ("failed",), ("loads", "sequential"), ("loads", "gups"), ("errors", "sequential"), ("errors", "kv"),
    }  # fmt: skip
    assert ("errors", "gups") in counted(alone, alone)


def test_of_a_litmus_test_forbidden_outcomes_are_counted_and_relaxed_ones_seen_or_not() -> None:
    def a_litmus(*counts: int) -> xr.Dataset:
        return xr.Dataset(
            {"count": ("outcome", [*counts])},
            coords={
                "outcome": ["SB: 0 0", "SB: 0 1", "MP: 1 0", "LB: 1 1"],
                "verdict": ("outcome", ["relaxed", "sequential", "forbidden", "relaxed"]),
            },
        )

    a, b = a_litmus(0, 500, 0, 3), a_litmus(7, 900, 2, 99)
    assert counted(a, b) == {("failed",): (0, 0), ("forbidden outcomes", "MP: 1 0"): (0, 2)}
    samples = sampled(a, b)
    assert {key: (each.a.values.tolist(), each.b.values.tolist()) for key, each in samples.items()} == {
        ("relaxed outcomes seen", "SB: 0 0"): ([0], [1]),
        ("relaxed outcomes seen", "LB: 1 1"): ([1], [1]),
    }


def test_bounds_that_the_probe_gives_are_taken() -> None:
    unit = {"units": "1"}
    dataset = a_dataset(
        clock_ratio=("node", [1.0, 1.1], unit),
        clock_ratio_low=("node", [0.9, 1.2], unit),
        clock_ratio_high=("node", [1.1, 1.3], unit),
    )
    samples = sampled(dataset, dataset)
    assert samples["clock_ratio", "node01"].a.interval == (0.9, 1.1)
    assert samples["clock_ratio", "node02"].a.interval is None  # it lies outside of its own bounds


def test_quantities_of_different_units_are_refused() -> None:
    a, b = a_chase().dataset, a_chase().dataset
    b["latency"].attrs["units"] = "us"
    with pytest.raises(SpecError, match="latency is in 'ns' in a and in 'us' in b"):
        list(points("made", a, b))


def test_a_label_that_is_there_twice_is_refused() -> None:
    twice = a_chase(sets=(4096, 4096)).dataset
    with pytest.raises(SpecError, match="working_set holds a label twice"):
        list(points("made", twice, twice))


def test_more_points_than_anybody_reads_are_refused() -> None:
    many = {"x": np.arange(600), "y": np.arange(600)}
    dataset = xr.Dataset({"latency": (("x", "y"), np.ones((600, 600)), {"units": "ns"})}, coords=many)
    with pytest.raises(SpecError, match="more than 200000 points"):
        list(points("made", dataset, dataset))
