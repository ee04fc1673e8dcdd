import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_traffic import MANIFEST, Cells, a_crowd, a_trace, some_samples

from fame_lab.errors import HostError, SpecError, TrafficError
from fame_lab.results.result import Result
from fame_lab.traffic import storage
from fame_lab.traffic.traffic import Traffic

CELLS: Cells = {("load", 1, 0): 10, ("store", 2, 32 << 20): (3, 2**60)}
TRACE = a_trace(CELLS, looks=[(0.5, {("load", 1, 0): 4})], ended={"node02": "its QEMU died"})


def same(one: Traffic, other: Traffic) -> None:
    xr.testing.assert_identical(one.counts, other.counts)
    xr.testing.assert_identical(one.timeline, other.timeline)
    assert one.counts["granule"].dtype == other.counts["granule"].dtype
    for name in ("spec", "source", "window", "manifest", "ended"):
        assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize(
    "traffic",
    [
        TRACE,
        a_trace({}),
        a_crowd(300, nodes=3, layout="interleaved"),
        some_samples({0: 2, 4096: 1}),
        some_samples({0: 2, 4096: 1}, by={0: [2, 1], 4096: [0, 1]}),
        some_samples({}, looks=0),
    ],
    ids=["trace", "nothing", "crowd", "samples", "samples by node", "no samples"],
)
def test_what_is_saved_is_what_is_loaded(tmp_path: Path, traffic: Traffic) -> None:
    place = traffic.save(tmp_path / "runs" / "kept")
    assert place == tmp_path / "runs" / "kept"
    same(Traffic.load(place), traffic)
    same(Traffic.load(Traffic.load(place).save(tmp_path / "again")), traffic)
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "again"}


def test_traffic_replaces_earlier_traffic_as_a_whole(tmp_path: Path) -> None:
    a_crowd(50).save(tmp_path / "kept")
    TRACE.save(tmp_path / "kept")
    same(Traffic.load(tmp_path / "kept"), TRACE)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_what_is_not_traffic_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years")
    (tmp_path / "file").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    Result("chase", xr.Dataset(), {}).save(tmp_path / "result")
    for name in ("thesis", "file", "link", "result"):
        with pytest.raises(SpecError, match="is not saved traffic"):
            TRACE.save(tmp_path / name)
    assert Result.load(tmp_path / "result").probe == "chase"
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years"


def test_earlier_traffic_survives_a_save_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TRACE.save(tmp_path / "kept")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full)
    with pytest.raises(HostError, match="No space left"):
        a_crowd(50).save(tmp_path / "kept")
    same(Traffic.load(tmp_path / "kept"), TRACE)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def retell(place: Path, **changes: Any) -> None:
    """Change what the manifest of saved traffic tells, and let it vouch for the files as they are."""
    manifest = json.loads((place / "manifest.json").read_text()) | changes
    for file in ("counts.nc", "timeline.nc"):
        manifest["sha256"][file] = hashlib.sha256((place / file).read_bytes()).hexdigest()
    (place / "manifest.json").write_text(json.dumps(manifest))


def test_a_result_is_not_taken_for_traffic(tmp_path: Path) -> None:
    for place in (Result("chase", xr.Dataset(), {}).save(tmp_path / "result"), tmp_path / "nowhere"):
        with pytest.raises(TrafficError, match="holds no traffic"):
            Traffic.load(place)


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"format": 1}', '{"format": 2}', "\x00"])
def test_a_manifest_that_is_none_is_not_loaded(tmp_path: Path, text: str) -> None:
    place = TRACE.save(tmp_path / "kept")
    (place / "manifest.json").write_text(text)
    with pytest.raises(TrafficError, match="holds no traffic"):
        Traffic.load(place)


@pytest.mark.parametrize("file", ["counts.nc", "timeline.nc"])
@pytest.mark.parametrize(
    "broken",
    [
        lambda content: content[:0],
        lambda content: content[:-1],
        lambda content: content[:99] + b"?" + content[100:],
        None,
    ],
    ids=["empty", "short", "changed", "missing"],
)
def test_a_file_that_is_not_as_it_was_saved_is_not_loaded(
    tmp_path: Path, file: str, broken: Callable[[bytes], bytes] | None
) -> None:
    place = TRACE.save(tmp_path / "kept")
    if broken is None:
        (place / file).unlink()
    else:
        (place / file).write_bytes(broken((place / file).read_bytes()))
    with pytest.raises(TrafficError, match=file):
        Traffic.load(place)


def test_a_file_that_claims_to_be_huge_is_not_allocated(tmp_path: Path) -> None:
    place = TRACE.save(tmp_path / "kept")
    with h5py.File(place / "counts.nc", "w") as file:
        file.create_dataset("accesses", (2, 2, 1 << 40), "u8", chunks=(2, 2, 1024))
    retell(place)
    with pytest.raises(TrafficError, match=r"counts\.nc claims to hold 35184372088832 bytes"):
        Traffic.load(place)


def test_counts_whose_sum_would_run_over_are_not_loaded(tmp_path: Path) -> None:
    place = a_trace({("load", 1, 0): (2**63, 8), ("load", 1, 4096): (2**63, 8)}).save(tmp_path / "kept")
    with pytest.raises(TrafficError, match="more than any recording"):
        Traffic.load(place)


def test_nothing_in_a_file_changes_how_its_numbers_are_read(tmp_path: Path) -> None:
    place = TRACE.save(tmp_path / "kept")
    with h5py.File(place / "counts.nc", "a") as file:
        file["accesses"].attrs["scale_factor"] = 1000.0
    retell(place)
    assert int(Traffic.load(place).matrix().sum()) == 13


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["spec", "source", "window", "manifest", "ended", "sha256", "format"])
NAMES = st.sampled_from(["accesses", "bytes", "changed", "time", "op", "node", "granule", "bin", "other"])
TYPES = st.sampled_from(["u8", "i8", "f8", "u1", "S3", "?"])
ARRAYS = st.tuples(TYPES, st.lists(st.integers(0, 3), max_size=4), st.integers(0, 255))
ATTRIBUTES = st.integers(-(2**63), 2**63 - 1) | st.text("ab", max_size=3)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    place = TRACE.save(tmp_path_factory.mktemp("saved") / "kept")
    return {path.name: path.read_bytes() for path in place.iterdir()}


@pytest.fixture
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read numbers once for all examples that leave them as they are, for that is slow."""
    read = functools.cache(storage._read)
    monkeypatch.setattr(storage, "_read", lambda path: read(path).copy(deep=True))


def lay(place: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (place / name).write_bytes(content)
    return place


def loaded_or_refused(place: Path) -> None:
    try:
        Traffic.load(place)._repr_html_()
    except TrafficError as error:
        assert "holds no traffic" in str(error)


fuzz = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzz
@given(name=FIELDS, value=JSON)
def test_whatever_the_manifest_tells_there_is_traffic_or_an_error(
    tmp_path: Path, saved: dict[str, bytes], read_once: None, name: str, value: object
) -> None:
    manifest = json.loads(saved["manifest.json"]) | {name: value}
    loaded_or_refused(lay(tmp_path, saved | {"manifest.json": json.dumps(manifest).encode()}))


@fuzz
@given(field=st.sampled_from(sorted(TRACE.spec)), value=JSON)
def test_whatever_the_spec_tells_there_is_traffic_or_an_error(
    tmp_path: Path, saved: dict[str, bytes], read_once: None, field: str, value: object
) -> None:
    retell(lay(tmp_path, saved), spec=TRACE.spec | {field: value})
    loaded_or_refused(tmp_path)


def refill(
    path: Path, variables: dict[str, tuple[str, list[int], int]], attrs: dict[str, int | str], mode: str
) -> None:
    with h5py.File(path, mode) as file:
        for name, (kind, shape, value) in variables.items():
            if name in file:
                del file[name]
            file[name] = np.full(shape, value).astype(kind)
        for name, attribute in attrs.items():
            file.attrs[name] = attribute


files = given(
    file=st.sampled_from(["counts.nc", "timeline.nc"]),
    variables=st.dictionaries(NAMES, ARRAYS, max_size=4),
    attrs=st.dictionaries(NAMES, ATTRIBUTES, max_size=2),
    mode=st.sampled_from(["a", "w"]),
)


@settings(fuzz, max_examples=15)
@files
def test_whatever_a_file_holds_there_is_traffic_or_an_error(
    tmp_path: Path, saved: dict[str, bytes], file: str, **content: Any
) -> None:
    refill(lay(tmp_path, saved) / file, **content)
    retell(tmp_path)
    loaded_or_refused(tmp_path)


@pytest.mark.soak
@settings(fuzz, max_examples=500)
@files
def test_whatever_any_of_many_files_holds_there_is_traffic_or_an_error(
    tmp_path: Path, saved: dict[str, bytes], file: str, **content: Any
) -> None:
    refill(lay(tmp_path, saved) / file, **content)
    retell(tmp_path)
    loaded_or_refused(tmp_path)


def test_the_manifest_is_kept_as_it_was(tmp_path: Path) -> None:
    assert Traffic.load(TRACE.save(tmp_path / "kept")).manifest == MANIFEST
