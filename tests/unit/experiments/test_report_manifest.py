import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fame_lab.errors import SpecError
from fame_lab.experiments.compare.inputs import load_input
from fame_lab.experiments.report.manifest import ReportManifest

TOLD = {"format": 1, "notebook": "n.ipynb", "sha256": "ab", "parameters": {"nodes": 4}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)


def folder(place: Path, content: Any) -> Path:
    (place / "manifest.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return place


def test_what_is_needed_to_repeat_a_report_is_read(tmp_path: Path) -> None:
    assert ReportManifest.read(folder(tmp_path, TOLD)) == ReportManifest("n.ipynb", "ab", {"nodes": 4})
    fields = TOLD | {"commit": {"notebook": "0123456789-dirty", "fame_lab": None}}
    assert ReportManifest.read(folder(tmp_path, fields)).commit["notebook"] == "0123456789-dirty"


def test_the_file_s_keys_are_those_of_the_first_reports(tmp_path: Path) -> None:
    ReportManifest("n.ipynb").write(tmp_path)
    assert list(json.loads((tmp_path / "manifest.json").read_text())) == [
        "format", "notebook", "sha256", "parameters", "commands", "commit", "versions", "packages", "host",
        "stopped", "time", "results", "missing", "figures",
    ]  # fmt: skip


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()), st.text())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, parameters: dict[str, Any], stopped: str
) -> None:
    place = tmp_path_factory.mktemp("kept")
    manifest = ReportManifest("n.ipynb", parameters=parameters, stopped=stopped, time={"began": "now"})
    manifest.write(place)
    assert ReportManifest.read(place) == manifest


def test_a_manifest_is_not_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ReportManifest("n.ipynb").stopped = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    "name",
    ["../n.ipynb", "/n.ipynb", "n.py", "a/n.ipynb", "..", "\ud800.ipynb", 3, None, ["n.ipynb"]],
)
def test_a_notebook_that_is_not_a_name_in_the_folder_is_refused(tmp_path: Path, name: Any) -> None:
    with pytest.raises(SpecError, match="holds no report that can be read: notebook is"):
        ReportManifest.read(folder(tmp_path, TOLD | {"notebook": name}))


@pytest.mark.parametrize("commit", ["", "v1", "0123456789\n", "--exec=x", 3, ["0123456789"]])
def test_a_commit_that_is_none_of_git_s_is_refused(tmp_path: Path, commit: Any) -> None:
    with pytest.raises(SpecError, match="holds no report that can be read: the commit of 'notebook' is"):
        ReportManifest.read(folder(tmp_path, TOLD | {"commit": {"notebook": commit}}))


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, '{"format": 2}', "\udcff"[:0] + "é"])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SpecError, match="holds no report that can be read"):
        ReportManifest.read(folder(tmp_path, text))


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="holds no report that can be read"):
        ReportManifest.read(tmp_path / "none")


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(JSON, st.sampled_from(["format", *vars(ReportManifest("n.ipynb"))]))
def test_whatever_a_manifest_holds_ends_in_a_value_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, value: Any, key: str
) -> None:
    place = folder(tmp_path_factory.mktemp("forged"), TOLD | {key: value})
    try:
        manifest = ReportManifest.read(place)
    except SpecError as error:
        assert "holds no report that can be read" in str(error)
        with pytest.raises(SpecError):
            load_input(place, "a")
        return
    assert "/" not in manifest.notebook
    assert {name: type(of) for name, of in vars(manifest).items()} == {
        name: type(of) for name, of in vars(ReportManifest("n.ipynb")).items()
    }
    assert load_input(place, "a").manifest == manifest.to_dict()
