import json
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_results import MANIFEST, a_chase, a_report
from made_traffic import a_trace, some_samples

from fame_lab import FabricModel
from fame_lab.errors import FameError, SpecError
from fame_lab.experiments.compare.inputs import load_input, match
from fame_lab.results.result import Result

TRACE = {("load", 1, 0): 3}


def test_a_saved_result_saved_traffic_and_a_report_are_told_by_what_they_hold(tmp_path: Path) -> None:
    a_chase().save(tmp_path / "chase")
    a_trace(TRACE).save(tmp_path / "traffic")
    a_report(tmp_path / "report", {"002-chase": a_chase(), "001-traffic": a_trace(TRACE)})
    assert list(load_input(tmp_path / "chase", "a").measured) == ["chase"]
    assert list(load_input(str(tmp_path / "traffic"), "a").measured) == ["traffic by trace"]
    report = load_input(tmp_path / "report", "a")
    assert report.is_report and list(report.measured) == ["001-traffic", "002-chase"]


@pytest.mark.parametrize("unmeasured", [None, 3, [a_chase()], {"a": 1}, xr.Dataset()])
def test_what_was_never_measured_is_refused(unmeasured: Any) -> None:
    with pytest.raises(SpecError, match="give a Result, a Traffic"):
        load_input(unmeasured, "a")


def test_what_was_projected_is_refused_in_whatever_form(tmp_path: Path) -> None:
    projection = a_trace(TRACE).project(FabricModel.pond())
    dressed_up = Result("chase", projection.dataset, projection.manifest)
    dressed_up.save(tmp_path / "kept")
    a_report(tmp_path / "report", {"001-chase": dressed_up})
    for source in (projection, dressed_up, tmp_path / "kept", tmp_path / "report"):
        with pytest.raises(SpecError, match="projected"):
            load_input(source, "b")


def test_a_place_that_holds_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(SpecError, match="holds no result, no traffic and no report"):
            load_input(place, "a")


def test_a_sweep_s_points_are_one_result_made_as_all_of_them_were() -> None:
    manifests = [
        MANIFEST | {"time": "1", "spec": {"nodes": 2}},
        MANIFEST | {"time": "2", "spec": {"nodes": 4}},
    ]
    swept = a_chase().dataset.expand_dims(nodes=[2, 4])
    swept = swept.assign_coords(manifest=("nodes", [json.dumps(each) for each in manifests]))
    result = load_input(swept.assign_attrs(probe="chase"), "a").measured["sweep of chase"]
    assert result.manifest == {key: MANIFEST[key] for key in ("accelerator", "mapping")}


def test_results_are_matched_by_probe_and_order_and_what_is_alone_is_named(tmp_path: Path) -> None:
    ring = Result("ring", a_chase().dataset, MANIFEST)
    first, second = a_chase(1), a_chase(2)
    a = a_report(tmp_path / "a", {"001-chase": first, "002-ring": ring, "003-chase": second})
    b = a_report(
        tmp_path / "b",
        {"001-chase": first, "002-chase": second, "003-timer": Result("timer", ring.dataset, {})},
    )
    pairs, only = match(load_input(a, "a"), load_input(b, "b"))
    assert [(each.name, each.b.manifest["seed"]) for each in pairs] == [("001-chase", 1), ("003-chase", 2)]
    assert only == {"a": ["002-ring"], "b": ["003-timer"]}


def test_what_is_not_of_one_kind_is_not_compared(tmp_path: Path) -> None:
    report = load_input(a_report(tmp_path, {}), "a")
    for one, other in (
        (report, load_input(a_chase(), "b")),
        (load_input(a_chase(), "a"), load_input(Result("ring", a_chase().dataset, MANIFEST), "b")),
        (load_input(a_trace(TRACE), "a"), load_input(some_samples({0: 2}), "b")),
        (load_input(a_trace(TRACE), "a"), load_input(Result("traffic by trace", a_chase().dataset, {}), "b")),
    ):
        with pytest.raises(SpecError, match="give two of"):
            match(one, other)


def test_what_a_report_holds_beside_is_named_and_no_link_is_followed(tmp_path: Path) -> None:
    place = a_report(tmp_path / "report", {"001-chase": a_chase()})
    (place / "data" / "002-other").mkdir()
    (place / "data" / "notes").mkdir()
    a_chase().save(tmp_path / "outside")
    (place / "data" / "003-chase").symlink_to(tmp_path / "outside")
    comparison_input = load_input(place, "a")
    assert list(comparison_input.measured) == ["001-chase"]
    assert comparison_input.unread == ("002-other, which is not compared",)


@pytest.mark.parametrize("manifest", ["", "[]", "3", "{", "[" * 100_000, '{"a": ' * 100_000])
def test_a_report_s_manifest_that_is_none_is_refused(tmp_path: Path, manifest: str) -> None:
    place = a_report(tmp_path / "report", {})
    (place / "manifest.json").write_text(manifest)
    with pytest.raises(SpecError, match="holds no report that can be read"):
        load_input(place, "a")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_a_manifest_holds_there_is_a_report_or_an_error(tmp_path: Path, raw: bytes) -> None:
    place = a_report(tmp_path / "report", {})
    (place / "manifest.json").write_bytes(raw)
    try:
        assert load_input(place, "a").is_report
    except FameError as error:
        assert "holds no report that can be read" in str(error)
