import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from made_plan import a_plan
from stand_in_lab import measured

from fame_lab.experiments.sweep.combine import TAGS, combined
from fame_lab.experiments.sweep.plan import Point
from fame_lab.experiments.sweep.storage import Failure

FAILURE = Failure("ProbeError", "it cannot be", "far", "2025-03-04T05:06:07+00:00")


def test_each_axis_is_a_dimension_and_each_number_at_its_place() -> None:
    plan = a_plan(parameters={"batches": 40})
    dataset = combined(plan, measured(plan), {})
    assert dict(dataset.sizes) == {
        "nodes": 2, "stride": 3, "repeat": 3, "memory": 2, "node": 2, "batch": 40, "statistic": 7,
    }  # fmt: skip
    assert dataset["latency"].dims == ("nodes", "stride", "repeat", "memory", "node", "batch")
    at = dataset["latency"].sel(nodes=2, stride=256, repeat=1, memory="fam", node="node02")
    assert at.values.tolist() == [512.0] * 40


def test_units_are_kept() -> None:
    plan = a_plan({"fam": ["1M", "2M"], "stride": [64]})
    dataset = combined(plan, measured(plan), {})
    assert dataset["latency"].attrs == {"units": "ns", "long_name": "latency of a dependent load"}
    assert dataset["stride"].attrs == {"units": "B"} == dataset["fam"].attrs


def test_points_of_different_shapes_are_joined_with_nothing_where_one_has_none() -> None:
    plan = a_plan({"nodes": [1, 2], "batches": [32, 35]})
    dataset = combined(plan, measured(plan), {})
    assert np.isnan(dataset["latency"].sel(nodes=1, node="node02")).all()
    assert dataset["latency"].sel(nodes=2, batches=32).notnull().sum("batch").values.max() == 32
    assert dataset["seen"].sel(nodes=1, batches=32, repeat=0).values.tolist() == ["seen by node01", ""]


def test_a_point_that_failed_is_nan_and_says_why() -> None:
    plan = a_plan()
    results = measured(plan)
    del results[plan.points[3]], results[plan.points[4]]
    dataset = combined(plan, results, {plan.points[3]: FAILURE})
    assert dataset.attrs["missing"] == 2
    assert dataset.attrs["errors"].endswith("ProbeError: it cannot be")
    at = dict(zip(("nodes", "stride"), plan.points[3].places, strict=True)) | {
        "repeat": plan.points[3].repeat
    }
    assert dataset.isel(at)["error"].item() == "ProbeError: it cannot be"
    assert dataset.isel(at)["host"].item() == "far"
    assert np.isnan(dataset.isel(at)["latency"]).all()


def test_each_point_is_tagged_with_where_it_comes_from() -> None:
    plan = a_plan()
    dataset = combined(plan, measured(plan), {})
    for tag in TAGS:
        assert dataset.coords[tag].dims == ("nodes", "stride", "repeat")
    assert set(dataset["host"].values.flat) == {"here"}
    assert set(dataset["accelerator"].values.flat) == {"tcg"}
    assert sorted(dataset["run_order"].values.flat) == list(range(18))
    assert json.loads(dataset["manifest"].sel(nodes=2).values.flat[0])["spec"]["nodes"] == 2


def test_what_must_not_happen_and_did_is_told() -> None:
    plan = a_plan()
    results = measured(plan)
    results[plan.points[0]].dataset.attrs["failed"] = "2 updates lost"
    dataset = combined(plan, results, {})
    assert dataset.attrs["failed"].endswith(": 2 updates lost") and dataset.attrs["missing"] == 0
    assert (dataset["failed"] == "2 updates lost").sum() == 1


def test_attributes_that_differ_are_coordinates_and_others_stay() -> None:
    plan = a_plan()
    dataset = combined(plan, measured(plan), {})
    assert dataset.attrs["mapping"] == "write-back"
    assert dataset.coords["host_cpu_wait"].sel(nodes=2).values.max() == pytest.approx(0.2)


def test_what_has_an_axis_s_name_goes_by_another() -> None:
    plan = a_plan({"mapping": ["uc", "wb"]})
    dataset = combined(plan, measured(plan), {})
    assert dataset["mapping"].values.tolist() == ["uc", "wb"]
    assert dataset.attrs["measured_mapping"] == "write-back"


@pytest.mark.parametrize("missing", [0, 1])
def test_a_dataset_can_be_saved_and_loaded(missing: int, tmp_path: Path) -> None:
    plan = a_plan({"nodes": [1, 2], "trace": [False, True], "mapping": ["uc"]})
    results: dict[Point, Any] = measured(plan)
    for point in plan.points[:missing]:
        del results[point]
    dataset = combined(plan, results, {})
    dataset.to_netcdf(tmp_path / "sweep.nc", engine="h5netcdf")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "sweep.nc", engine="h5netcdf"), dataset)
