import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.errors import SpecError
from fame_lab.experiments.report.manifest import ReportSource, describe, read

TOLD = {"format": 1, "notebook": "n.ipynb", "sha256": "ab", "parameters": {"nodes": 4}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda held: st.lists(held, max_size=3) | st.dictionaries(st.text(), held, max_size=3),
    max_leaves=8,
)


def folder(place: Path, told: Any) -> Path:
    (place / "manifest.json").write_text(told if isinstance(told, str) else json.dumps(told))
    return place


def test_what_is_needed_to_repeat_a_report_is_read(tmp_path: Path) -> None:
    assert read(folder(tmp_path, TOLD)) == ReportSource("n.ipynb", "ab", {"nodes": 4}, None)
    told = TOLD | {"commit": {"notebook": "0123456789-dirty"}}
    assert read(folder(tmp_path, told)).commit == "0123456789-dirty"


@pytest.mark.parametrize("name", ["../n.ipynb", "/n.ipynb", "n.py", "a/n.ipynb", "..", 3, None, ["n.ipynb"]])
def test_a_notebook_that_is_not_a_name_in_the_folder_is_refused(tmp_path: Path, name: Any) -> None:
    with pytest.raises(SpecError, match="holds no report that can be read: notebook is"):
        read(folder(tmp_path, TOLD | {"notebook": name}))


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, '{"format": 2}', "\udcff"[:0] + "é"])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SpecError, match="holds no report that can be read"):
        read(folder(tmp_path, text))


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="holds no report that can be read"):
        read(tmp_path / "none")


@given(JSON, st.sampled_from(["notebook", "sha256", "parameters", "commit", "format"]))
def test_whatever_a_manifest_holds_ends_in_a_value_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, held: Any, key: str
) -> None:
    place = tmp_path_factory.mktemp("forged")
    try:
        found = read(folder(place, TOLD | {key: held}))
    except SpecError:
        return
    assert "/" not in found.notebook and isinstance(found.parameters, dict)


def test_a_clone_s_commit_is_told_and_whether_it_was_changed(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *identity, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    source = tmp_path / "n.ipynb"
    assert describe(source, "ab", {}, ["x"])["commit"]["notebook"] is None
    git("init", "--quiet")
    source.write_text("{}")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    git("tag", "v1")
    head = git("rev-parse", "HEAD")
    assert describe(source, "ab", {}, ["x"])["commit"]["notebook"] == head
    source.write_text("[]")
    assert describe(source, "ab", {}, ["x"])["commit"]["notebook"] == f"{head}-dirty"


def test_it_names_versions_packages_and_host(tmp_path: Path) -> None:
    told = describe(tmp_path / "n.ipynb", "ab", {}, ["fame-lab", "report", "a b"])
    assert told["commands"][0] == "fame-lab report 'a b'"
    assert told["versions"].keys() == {"fame_lab", "python", "host_kernel"}
    assert told["packages"]["numpy"] and told["host"]["cpu"]
    assert json.loads(json.dumps(told)) == told
