import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_datasets import ARRAYS, ATTRIBUTES, NAMES, sign_again

from fame_lab.errors import HostError, SpecError
from fame_lab.probes.common.batches import summary
from fame_lab.results.result import Result

MANIFEST: dict[str, Any] = {"accelerator": {"kind": "tcg", "reason": "no /dev/kvm"}, "seed": 3}


def a_result(probe: str = "chase", manifest: dict[str, Any] = MANIFEST) -> Result:
    latency = xr.DataArray(
        np.random.default_rng(0).random((2, 30)),
        dims=("memory", "batch"),
        coords={"memory": ["dram", "fam"]},
        attrs={"units": "ns", "long_name": "latency"},
    )
    preempted = latency > 0.9
    return Result(
        probe,
        xr.Dataset(
            {"latency": latency, "latency_summary": summary(latency), "preempted": preempted},
            coords={"initiator": "node01", "oversubscribed": False},
            attrs={"node": "node01", "seed": 3},
        ),
        manifest,
    )


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    result = a_result()
    assert result.save(tmp_path / "runs" / "kept") == tmp_path / "runs" / "kept"
    loaded = Result.load(tmp_path / "runs" / "kept")
    assert loaded.probe == "chase"
    assert loaded.manifest == MANIFEST
    xr.testing.assert_identical(loaded.dataset, result.dataset)
    assert loaded.dataset["preempted"].dtype == bool
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["kept"]


def test_a_result_replaces_an_earlier_one_as_a_whole(tmp_path: Path) -> None:
    a_result("chase").save(tmp_path / "kept")
    a_result("bandwidth").save(tmp_path / "kept")
    assert Result.load(tmp_path / "kept").probe == "bandwidth"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_an_empty_directory_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    assert Result.load(a_result().save(tmp_path / "kept")).probe == "chase"


def test_what_is_no_result_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years")
    (tmp_path / "file").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("thesis", "file", "link"):
        with pytest.raises(SpecError, match="is not a result"):
            a_result().save(tmp_path / name)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years"
    assert (tmp_path / "file").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "thesis"]


def test_an_earlier_result_survives_a_save_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_result("chase").save(tmp_path / "kept")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full)
    with pytest.raises(HostError, match="No space left"):
        a_result("bandwidth").save(tmp_path / "kept")
    assert Result.load(tmp_path / "kept").probe == "chase"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(
    "manifest",
    ["", "[]", "{}", '{"format": 2}', '{"format": 1}', '{"format": 1, "probe": 3, "manifest": {}}'],
)
def test_what_is_no_result_is_not_loaded(tmp_path: Path, manifest: str) -> None:
    a_result().save(tmp_path / "kept")
    (tmp_path / "kept" / "manifest.json").write_text(manifest)
    with pytest.raises(SpecError, match="holds no result"):
        Result.load(tmp_path / "kept")


def test_a_missing_or_broken_dataset_is_not_loaded(tmp_path: Path) -> None:
    place = a_result().save(tmp_path / "kept")
    (place / "dataset.nc").write_bytes(b"not NetCDF")
    with pytest.raises(SpecError, match="holds no result"):
        Result.load(place)
    with pytest.raises(SpecError, match="holds no result"):
        Result.load(tmp_path / "nowhere")


def test_repr_tells_the_probe_its_dimensions_and_units() -> None:
    text = repr(a_result())
    assert text.startswith("<Result of 'chase' (memory: 2, batch: 30, statistic: 7): latency [ns]")


def test_html_has_a_row_for_each_thing_measured_and_says_that_it_is_emulated() -> None:
    html = a_result()._repr_html_()
    assert html.count("<tr>") == 3
    assert "<th>dram</th>" in html
    assert "latency [ns]" in html
    assert "emulated (TCG on this host): not a fabric&#39;s latency" in html


def test_html_escapes_what_came_from_elsewhere() -> None:
    evil = "<script>alert(1)</script>"
    result = a_result(evil, MANIFEST | {"node": evil})
    result.dataset["latency_summary"].attrs["long_name"] = evil
    renamed = Result(evil, result.dataset.assign_coords(memory=[evil, "fam"]), result.manifest)
    assert "<script" not in renamed._repr_html_()
    assert "&lt;script" in renamed._repr_html_()


def test_a_dataset_that_is_not_as_it_was_saved_is_not_loaded(tmp_path: Path) -> None:
    place = a_result().save(tmp_path / "kept")
    content = bytearray((place / "dataset.nc").read_bytes())
    content[len(content) // 2] ^= 1
    (place / "dataset.nc").write_bytes(content)
    with pytest.raises(SpecError, match="not as it was saved"):
        Result.load(place)


def test_a_dataset_that_claims_to_be_huge_is_not_allocated(tmp_path: Path) -> None:
    place = a_result().save(tmp_path / "kept")
    with h5py.File(place / "dataset.nc", "w") as file:
        file.create_dataset("latency", (1 << 40,), "f8", chunks=(1024,))
    sign_again(place)
    with pytest.raises(SpecError, match="claims to hold 8796093022208 bytes"):
        Result.load(place)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_result().save(tmp_path_factory.mktemp("saved") / "kept")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    variables=st.dictionaries(NAMES, st.tuples(ARRAYS, ATTRIBUTES), max_size=3),
    attrs=ATTRIBUTES,
    mode=st.sampled_from(["a", "w"]),
)
def test_whatever_a_dataset_holds_there_is_a_result_or_an_error(
    tmp_path_factory: pytest.TempPathFactory,
    saved: Path,
    variables: dict[str, tuple[tuple[str, list[int], int], dict[str, int | str]]],
    attrs: dict[str, int | str],
    mode: str,
) -> None:
    place = shutil.copytree(saved, tmp_path_factory.mktemp("fuzz") / "kept")
    with h5py.File(place / "dataset.nc", mode) as file:
        for name, ((kind, shape, value), own) in variables.items():
            if name in file:
                del file[name]
            file[name] = np.full(shape, value).astype(kind)
            file[name].attrs.update(own)
        file.attrs.update(attrs)
    sign_again(place)
    try:
        result = Result.load(place)
    except SpecError as error:
        assert "holds no result" in str(error)
        return
    assert "<script" not in result._repr_html_() + repr(result).replace("<script>", "")
