import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest
from made_notebook import KEEPS, notebook

from fame_lab.errors import ReportError, SpecError
from fame_lab.experiments.compare.comparison import Comparison, compare
from fame_lab.experiments.report.report import report
from fame_lab.experiments.report.rerun import exact_results_agree, rerun
from fame_lab.results.result import Result

COUNTS = KEEPS.replace('"rate": (', '"lost": ("batch", [nodes, 0, 0]), "rate": (')
MAKES_A_FILE = "open('made', 'w').write('x')"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of four nodes, of which nothing but its folder is left."""
    directory = tmp_path_factory.mktemp("made")
    source = notebook(directory, COUNTS, MAKES_A_FILE, parameters="nodes = 2")
    report(source, directory / "out", parameters={"nodes": 4})
    source.unlink()
    return directory / "out"


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "from a stranger"))


class Repeated(NamedTuple):
    """A report, made again: what was in its folder before, and what came of it."""

    folder: Path
    before: dict[Path, bytes]
    comparison: Comparison


@pytest.fixture(scope="module")
def repeated(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Repeated:
    folder = Path(shutil.copytree(original, tmp_path_factory.mktemp("repeated") / "from a stranger"))
    before = contents(folder)
    return Repeated(folder, before, rerun(folder))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def change(folder: Path, **fields: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def put(folder: Path, source: str) -> None:
    """Put another notebook into a report, as its author could."""
    cells = [nbformat.v4.new_code_cell("nodes = 2", metadata={"tags": ["parameters"]})]
    cells.append(nbformat.v4.new_code_cell(source))
    raw = nbformat.writes(nbformat.v4.new_notebook(cells=cells)).encode()
    (folder / "source" / "n.ipynb").write_bytes(raw)
    change(folder, sha256=hashlib.sha256(raw).hexdigest())


def test_a_report_is_made_again_from_its_folder_alone_with_its_parameters(repeated: Repeated) -> None:
    folder, comparison = repeated.folder, repeated.comparison
    new = folder.with_name("from a stranger-rerun")
    assert exact_results_agree(comparison) and comparison.agrees
    assert Result.load(new / "data" / "001-made").dataset["lost"].values.tolist() == [4, 0, 0]
    before, after = (json.loads((each / "manifest.json").read_text()) for each in (folder, new))
    assert after["sha256"] == before["sha256"]
    assert after["parameters"] == before["parameters"] == {"nodes": 4}
    assert after["commands"][0] == f"fame-lab rerun '{folder}' --output '{new}'"


def test_a_report_without_a_measurement_says_nothing_about_itself(folder: Path) -> None:
    put(folder, "print(1)")
    shutil.rmtree(folder / "data")
    change(folder, results=[])
    process = fame_lab("rerun", folder.name, "--output", "new", directory=folder.parent)
    assert process.returncode == 1
    assert "nothing is compared: they have no measurement in common" in process.stdout
    assert "so nothing can be said; what cells print and draw is not compared: see new" in process.stdout
    assert (folder.parent / "new" / "n.html").is_file()


def test_the_old_folder_is_not_changed_and_nothing_else_is_left(repeated: Repeated) -> None:
    folder = repeated.folder
    assert contents(folder) == repeated.before
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name, f"{folder.name}-rerun"]


def test_a_notebook_that_makes_files_beside_itself_makes_them_nowhere_that_stays(
    original: Path, repeated: Repeated
) -> None:
    assert original.with_name("made").is_file()
    assert not list(repeated.folder.parent.rglob("made"))


def test_a_notebook_other_than_the_report_s_is_refused(folder: Path) -> None:
    with (folder / "source" / "n.ipynb").open("a") as file:
        file.write(" ")
    with pytest.raises(SpecError, match="its sha256 differs"):
        rerun(folder)


def test_what_could_be_read_for_ever_is_refused(folder: Path) -> None:
    (folder / "source" / "n.ipynb").unlink()
    os.mkfifo(folder / "source" / "n.ipynb")
    with pytest.raises(SpecError, match=r"cannot be read: n\.ipynb is missing, or no plain file"):
        rerun(folder)
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")
    with pytest.raises(SpecError, match="holds no report that can be read"):
        rerun(folder)


def test_a_parameter_that_would_be_code_is_refused(folder: Path) -> None:
    change(folder, parameters={"nodes = 2\nimport os": 4})
    with pytest.raises(SpecError, match="the notebook has no parameter"):
        rerun(folder)


def test_an_output_in_the_folder_or_around_it_is_refused(folder: Path) -> None:
    with pytest.raises(SpecError, match="in the report that is repeated"):
        rerun(folder, folder / "new")
    with pytest.raises(SpecError, match="holds something else than a report"):
        rerun(folder, folder.parent)


@pytest.mark.parametrize(
    ("name", "batch", "agrees"), [("rate", [4, 1e6, 2e6], True), ("lost", [4, 0, 1], False)]
)
def test_counts_that_differ_do_not_hold_and_times_may(
    original: Path, folder: Path, name: str, batch: list[float], agrees: bool
) -> None:
    result = Result.load(folder / "data" / "001-made")
    result.dataset[name].values[:] = batch
    result.save(folder / "data" / "001-made")
    assert Result.load(folder / "data" / "001-made").dataset[name].values.tolist() == batch
    assert exact_results_agree(compare(original, folder)) == agrees


def test_a_result_that_only_one_has_does_not_hold(original: Path, folder: Path) -> None:
    shutil.rmtree(folder / "data" / "001-made")
    assert not exact_results_agree(compare(original, folder))


def test_a_run_that_stops_leaves_a_report_that_says_where(folder: Path) -> None:
    put(folder, "1 / 0")
    with pytest.raises(ReportError, match=r"cell 3 of 3 failed .*; the report up to there is"):
        rerun(folder)
    assert json.loads((folder.with_name("from a stranger-rerun") / "manifest.json").read_text())["stopped"]


def fame_lab(*words: str, directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fame_lab", *words]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=280, check=False)


def test_the_command_line_says_by_its_status_whether_it_holds(folder: Path) -> None:
    ran = fame_lab("rerun", folder.name, "--json", directory=folder.parent)
    fields = json.loads(ran.stdout)
    assert ran.returncode == 0, ran.stderr
    assert fields["holds"] is True and fields["output"] == str(folder.with_name("from a stranger-rerun"))
    put(folder, "pass")
    ran = fame_lab("rerun", ".", directory=folder)
    assert ran.returncode == 1
    assert "only in a:" in ran.stdout and "does NOT agree" in ran.stdout
