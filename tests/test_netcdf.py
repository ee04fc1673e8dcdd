from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_results import a_chase

from fame_lab.netcdf import read

SIZES = {"node": 2, "batch": 3, "home": 1}
KINDS = st.sampled_from(["u1", "i8", "u8", "f4", "f8", "?", "U5"])
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["units", "long_name", "failed", "sizes", "_odd"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
    | st.integers(-9, 9)
    | st.floats(-1, 1)
    | st.sampled_from([np.array([1, 2]), np.array([0.5]), np.array([], "f8")]),
    max_size=3,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    held=st.dictionaries(
        st.sampled_from(["rate", "loads", "mapping", "count", "node", "label"]),
        st.tuples(st.lists(st.sampled_from([*SIZES]), unique=True), KINDS, st.integers(0, 9), ATTRIBUTES),
        max_size=4,
    ),
    attrs=ATTRIBUTES,
)
def test_what_xarray_wrote_is_read_as_xarray_reads_it(
    tmp_path_factory: pytest.TempPathFactory, held: dict[str, Any], attrs: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("netcdf") / "dataset.nc"
    variables = {
        name: (
            ["node"] if name == "node" else dims,
            np.full([SIZES[dim] for dim in (["node"] if name == "node" else dims)], value).astype(kind),
            own,
        )
        for name, (dims, kind, value, own) in held.items()
    }
    dataset = xr.Dataset(variables, attrs=attrs)
    dataset.set_coords([name for name in ("label",) if name in dataset]).to_netcdf(path, engine="h5netcdf")
    wanted = xr.load_dataset(path, engine="h5netcdf")
    found = read(path)
    xr.testing.assert_identical(found, wanted)
    assert {name: each.dtype for name, each in found.variables.items()} == {
        name: each.dtype for name, each in wanted.variables.items()
    }


def test_holes_text_and_what_is_true_come_back(tmp_path: Path) -> None:
    dataset = a_chase().dataset
    dataset["latency"] = dataset["latency"].where(dataset["memory"] == "fam")
    dataset.to_netcdf(tmp_path / "dataset.nc", engine="h5netcdf")
    found = read(tmp_path / "dataset.nc")
    xr.testing.assert_identical(found, dataset)
    assert found["preempted"].dtype == bool
    assert found["oversubscribed"].dtype == bool


def test_a_file_that_is_kept_otherwise_is_read_by_xarray_alone(tmp_path: Path) -> None:
    a_chase().dataset.to_netcdf(tmp_path / "dataset.nc", engine="h5netcdf")
    with h5py.File(tmp_path / "dataset.nc", "a") as file:
        del file["latency"].attrs["_Netcdf4Coordinates"]
        file["latency"].attrs["remark"] = np.bytes_("fixed")
    found = read(tmp_path / "dataset.nc")
    xr.testing.assert_identical(found, xr.load_dataset(tmp_path / "dataset.nc", engine="h5netcdf"))
    assert found["latency"].dims == ("memory", "working_set", "batch")
