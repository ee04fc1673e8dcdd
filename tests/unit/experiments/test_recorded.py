"""The recorded data that ships with the package, and its label, which stays."""

import dataclasses
import json
import re
import zipfile
from pathlib import Path

import pytest
from every_figure import MANIFEST
from hypothesis import given
from hypothesis import strategies as st
from made_traffic import a_crowd

import fame_lab
from fame_lab import FabricModel, Result, SpecError, Traffic
from fame_lab.results.plots import caveat
from fame_lab.results.provenance import label

PLACE = Path(fame_lab.__file__).with_name("recorded")
NAMES = fame_lab.recorded_names()
RESULTS = [name for name in NAMES if name != "traffic"]
LABEL = re.compile(r"recorded \d{4}-\d\d-\d\d on .+, not measured here")


def test_there_is_one_of_each_kind_that_the_tutorials_show() -> None:
    assert {"atomics", "bandwidth", "chase", "litmus", "locks", "pingpong", "ring", "traffic"} <= set(NAMES)


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in PLACE.rglob("*") if path.is_file()) < 300_000


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_says_that_it_is_recorded_wherever_it_shows_itself(name: str) -> None:
    result = fame_lab.recorded(name)  # whose digest is checked as it is loaded
    assert result.probe == name
    assert result.failed == ""
    first = result.plot().get_supxlabel().replace("\n", " ")
    for text in (repr(result), result._repr_html_(), first):
        assert LABEL.search(text), text
    assert first.startswith("recorded")
    assert "on this host" not in first


def test_traffic_says_so_too_and_so_does_what_is_computed_from_it() -> None:
    traffic = fame_lab.recorded_traffic()
    projection = traffic.project(FabricModel.pond())
    for what in ("overview", "matrix", "heat", "time", "sharing"):
        assert traffic.plot(what).get_supxlabel().startswith("recorded")
    assert projection.plot().get_supxlabel().startswith("recorded")
    for text in (repr(traffic), traffic._repr_html_(), projection._repr_html_()):
        assert LABEL.search(text), text


@pytest.mark.parametrize("name", NAMES)
def test_it_has_its_manifest_and_nothing_of_whoever_made_it(name: str) -> None:
    record = json.loads((PLACE / name / "manifest.json").read_text())
    manifest = record["manifest"]
    assert manifest["accelerator"]["kind"] == "tcg"
    assert manifest["host"]["cpu"] and manifest["time"] and manifest["versions"]["qemu"] and manifest["image"]
    assert manifest["spec"]["name"] == "recorded"
    for path in (PLACE / name).iterdir():
        assert not re.search(rb"/(root|home|work|tmp|var|usr)/", path.read_bytes())


def test_it_stays_labelled_when_it_is_saved_and_loaded(tmp_path: Path) -> None:
    again = Result.load(fame_lab.recorded("chase").save(tmp_path / "chase"))
    assert LABEL.search(repr(again))
    traffic = Traffic.load(fame_lab.recorded_traffic().save(tmp_path / "traffic"))
    assert LABEL.search(repr(traffic))


def test_what_was_measured_here_is_not_labelled() -> None:
    traffic = dataclasses.replace(a_crowd(9), manifest=MANIFEST)
    for text in (repr(traffic), traffic._repr_html_(), traffic.plot("matrix").get_supxlabel()):
        assert "recorded" not in text
    assert "on this host" in caveat(MANIFEST)


@pytest.mark.parametrize("name", ["nothing", "", "..", "../recorded/chase", "CHASE"])
def test_what_is_not_there_is_answered_by_what_there_is(name: str) -> None:
    with pytest.raises(SpecError, match=r"there are atomics, bandwidth, chase"):
        fame_lab.recorded(name)


def test_traffic_is_no_result() -> None:
    with pytest.raises(SpecError, match="recorded_traffic"):
        fame_lab.recorded("traffic")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.dictionaries(st.text(), inner)
)


@given(st.fixed_dictionaries({}, optional={"recorded": JSON, "host": JSON, "time": JSON}))
def test_a_label_is_a_line_whatever_the_manifest_holds(manifest: dict[str, object]) -> None:
    line = label(manifest)
    assert bool(line) == bool(manifest.get("recorded"))
    assert line.isprintable() and len(line) < 1000


def test_the_wheel_has_it(tmp_path: Path) -> None:
    if not Path("pyproject.toml").is_file():
        pytest.skip("a wheel is made from a clone only")
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(PLACE.parent.parent)).build(directory=str(tmp_path))
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    for path in PLACE.rglob("*.*"):
        assert path.relative_to(PLACE.parent.parent).as_posix() in inside
