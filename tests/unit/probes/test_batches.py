import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.errors import ProbeError
from fame_lab.probes.common.batches import STATISTICS, batch_options, read_batches, summary
from fame_lab.probes.common.program_output import OutputRecord


def fields(**changed: object) -> OutputRecord:
    line = {"loads": 100, "batch_ns": [1000, 2000, 3000], "preempted": [0, 1, 0], "timer_ns": 5}
    return OutputRecord(line | changed, "node01")


def test_batches_become_time_an_operation() -> None:
    read = read_batches(fields(), "loads", 3)
    assert read.ns_per_operation.tolist() == [10.0, 20.0, 30.0]
    assert read.preempted.tolist() == [False, True, False]


@pytest.mark.parametrize(
    "changed",
    [{"loads": 0}, {"batch_ns": [1, 2]}, {"batch_ns": [0, 1, 2]}, {"preempted": [0, 2, 0]}, {"timer_ns": -1}],
)
def test_batches_that_cannot_be_are_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ProbeError, match="node01"):
        read_batches(fields(**changed), "loads", 3)


def test_a_clock_that_costs_over_a_hundredth_of_a_batch_gives_no_number() -> None:
    read_batches(fields(timer_ns=10), "loads", 3)
    with pytest.raises(ProbeError, match="over 1 % of a batch"):
        read_batches(fields(timer_ns=10.1), "loads", 3)


def test_batches_asked_for_become_arguments() -> None:
    assert batch_options(30, 1.5) == ["--batches", "30", "--batch-us", "1500"]


def test_summary_replaces_batches_by_statistics_in_order() -> None:
    generator = np.random.default_rng(1)
    values = xr.DataArray(
        generator.lognormal(size=(2, 3, 50)),
        dims=("memory", "working_set", "batch"),
        coords={"memory": ["dram", "fam"]},
        attrs={"units": "ns"},
    )
    statistics = summary(values)
    assert statistics.dims == ("statistic", "memory", "working_set")
    assert statistics["statistic"].values.tolist() == list(STATISTICS)
    assert statistics.attrs["units"] == "ns"
    np.testing.assert_allclose(statistics.sel(statistic="p50"), values.median("batch"))
    np.testing.assert_allclose(statistics.sel(statistic="max"), values.max("batch"))
    rising = statistics.sel(statistic=["min", "p50_low", "p50", "p50_high", "max"]).values
    assert (np.diff(rising, axis=0) >= 0).all()


def test_summary_of_one_distribution_has_statistics_alone() -> None:
    assert summary(xr.DataArray(np.arange(30.0), dims="batch")).dims == ("statistic",)


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=60))
def test_the_interval_of_a_median_lies_in_the_data_or_is_unknown(values: list[float]) -> None:
    low, high = summary(xr.DataArray(values, dims="batch")).sel(statistic=["p50_low", "p50_high"]).values
    assert np.isnan([low, high]).all() or min(values) <= low <= high <= max(values)


def test_the_interval_of_a_median_covers_it_as_often_as_it_says_though_batches_depend_on_each_other() -> None:
    generator = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        noise = generator.normal(size=250)
        for each in range(1, noise.size):
            noise[each] += 0.6 * noise[each - 1]
        statistics = summary(xr.DataArray(noise[50:], dims="batch"))
        low, high = statistics.sel(statistic=["p50_low", "p50_high"]).values
        covered += low <= 0 <= high
    assert 0.88 <= covered / 200 <= 1
