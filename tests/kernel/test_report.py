import hashlib
import json
import re
import shlex
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest
from made_notebook import KEEPS, notebook
from rocrate.rocrate import ROCrate

from fame_lab.core.jobs.progress import listen
from fame_lab.errors import ReportError, SpecError
from fame_lab.experiments.report.report import report
from fame_lab.results.result import Result

PLOT = """
%matplotlib inline
from matplotlib.figure import Figure
figure = Figure()
figure.add_subplot().plot([1, 2])
figure
"""
PYPLOT = "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()"

#: Cells of all kinds, of which one report is made that many tests read.
CELLS = (
    KEEPS,
    PYPLOT,
    PLOT,
    "print(6 * 7)",
    "print('parameters:', nodes, rest, fam)",
    "import sys; print('python:', sys.executable)",
    "import ipywidgets; ipywidgets.IntSlider()",
    "from IPython.display import Javascript; Javascript('alert(1)')",
    "from IPython.display import HTML; HTML('<a href=\"https://example.org\">link</a>')",
)
DEFAULTS = "nodes, rest, name, sizes = 2, 0, 0, 0\nfam = '64M'\nsizes = 1\nname = 2"
GIVEN = {"nodes": 4, "fam": "256M", "name": "it's", "sizes": [1, 2]}


class Example(NamedTuple):
    """A report that many tests read."""

    source: Path
    before: bytes
    page: Path
    stages: list[str]

    @property
    def folder(self) -> Path:
        return self.page.parent

    @property
    def manifest(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "manifest.json").read_text()))


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """A report of all CELLS, made where matplotlib draws to files and another Python is registered."""
    directory = tmp_path_factory.mktemp("made")
    (directory / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    registered = tmp_path_factory.mktemp("share") / "kernels" / "python3"
    registered.mkdir(parents=True)
    (registered / "kernel.json").write_text(json.dumps({"argv": ["/nowhere/python"], "display_name": "no"}))
    source = notebook(directory, *CELLS, markdown="# Question\n$x^2$ ![p](p.png)", parameters=DEFAULTS)
    before, stages = source.read_bytes(), list[str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "Agg")
        patch.setenv("JUPYTER_PATH", str(registered.parents[1]))
        page = report(source, directory / "out of it", parameters=GIVEN, progress=stages.append)
    return Example(source, before, page, stages)


class Stopped(NamedTuple):
    """What came of a run whose second cell of code measures, and then fails."""

    folder: Path
    error: ReportError
    steps: list[tuple[int, int | None, str]]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    directory = tmp_path_factory.mktemp("stopped")
    fails = f"nodes = 2{KEEPS}raise ValueError('<script>alert(1)</script>')"
    source = notebook(directory, "print('before')", fails, "print('never')", markdown="# Title")
    steps: list[tuple[int, int | None, str]] = []
    with listen(lambda *step: steps.append(step)), pytest.raises(ReportError) as raised:
        report(source, directory / "out")
    return Stopped(directory / "out", raised.value, steps)


class Outside(HTMLParser):
    """Collects what a browser would fetch from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            fetched = name in ("src", "srcset", "poster", "data") or (name == "href" and tag != "a")
            if fetched and not (value or "").startswith(("data:", "#")):
                self.references.append(f"<{tag} {name}={value}>")


def test_the_page_has_outputs_and_plots(example: Example) -> None:
    text = example.page.read_text()
    assert example.page == example.source.parent / "out of it" / "n.html"
    assert "42" in text and "Question" in text
    assert re.search(r'alt="Picture that figure shows"\s+src="data:image/png;base64,', text)


def test_the_page_refers_to_nothing_outside(example: Example) -> None:
    text = example.page.read_text()
    outside = Outside()
    outside.feed(text)
    assert outside.references == []
    assert not re.search(r"<script\b", text)
    assert not re.search(r"@import|url\(\s*['\"]?(?:https?:)?//", text)
    assert "default-src 'none'" in text


def test_a_backend_for_files_alone_still_gives_plots(example: Example) -> None:
    alt = re.escape(f'alt="Picture that {PYPLOT} shows"')
    assert re.search(alt + r'\s+src="data:image/png;base64,', example.page.read_text())


def test_the_kernel_is_the_python_that_runs_the_report(example: Example) -> None:
    assert f"python: {sys.executable}" in example.page.read_text()


def test_the_notebook_is_left_alone_and_an_executed_one_lies_beside_the_page(example: Example) -> None:
    assert example.source.read_bytes() == example.before
    executed = nbformat.read(example.page.with_suffix(".ipynb"), as_version=4)
    (cell,) = (each for each in executed.cells if each.source == "print(6 * 7)")
    assert cell.outputs[0].text == "42\n"


def test_a_failing_cell_is_told_and_shown_on_the_page(stopped: Stopped) -> None:
    assert "cell 3 of 4 failed with ValueError" in str(stopped.error)
    text = (stopped.folder / "n.html").read_text()
    assert "before" in text
    assert "cell 3 of 4 failed with ValueError" in text


def test_a_message_from_a_cell_is_escaped_on_the_page(stopped: Stopped) -> None:
    assert "<script>" in str(stopped.error)
    assert "<script>" not in (stopped.folder / "n.html").read_text()


def test_a_cell_that_takes_too_long_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="cell 1 of 1 took more than 1 s"):
        report(notebook(tmp_path, "import time; time.sleep(60)"), tmp_path / "out", cell_deadline=1)


def test_a_kernel_that_dies_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="cell 1 of 1 ended the kernel"):
        report(notebook(tmp_path, "import os; os._exit(1)"), tmp_path / "out")


def test_progress_names_each_cell(example: Example) -> None:
    assert example.stages == [
        "cell 2 of 12: nodes, rest, name, sizes = 2, 0, 0, 0",
        "cell 3 of 12: # Parameters",
        "cell 4 of 12: import xarray as xr",
        f"cell 5 of 12: {PYPLOT}",
        "cell 6 of 12: %matplotlib inline",
        *(f"cell {number} of 12: {cell[:70]}" for number, cell in enumerate(CELLS[3:], start=7)),
    ]


def test_a_report_is_a_job_with_a_step_a_cell(stopped: Stopped) -> None:
    assert stopped.steps == [
        (0, 4, "n.ipynb"),
        (1, 4, "n.ipynb"),
        (1, 4, "cell 2 of 4: print('before')"),
        (2, 4, "cell 2 of 4: print('before')"),
        (2, 4, "cell 3 of 4: nodes = 2"),
    ]


def test_a_missing_notebook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no notebook"):
        report(tmp_path / "n.ipynb", tmp_path / "out")


def test_what_is_no_notebook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "n.ipynb").write_text("no JSON")
    with pytest.raises(SpecError, match="is not a notebook"):
        report(tmp_path / "n.ipynb", tmp_path / "out")


def test_the_notebook_s_own_directory_is_no_output(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="where the notebook itself lies"):
        report(notebook(tmp_path, "1"), tmp_path)


def test_parameters_take_the_place_of_the_notebook_s_own(example: Example) -> None:
    assert "parameters: 4 0 256M" in example.page.read_text()


def test_a_parameter_that_the_notebook_has_not_is_refused_before_it_runs(tmp_path: Path) -> None:
    source = notebook(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')", parameters="nodes = 2")
    with pytest.raises(SpecError, match="no parameter 'node'; it has nodes"):
        report(source, tmp_path / "out", parameters={"node": 4})
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out").exists()


def test_the_folder_has_all_that_was_made_and_where_it_comes_from(example: Example) -> None:
    folder, manifest = example.folder, example.manifest
    assert sorted(path.name for path in folder.iterdir()) == [
        "data",
        "figures",
        "manifest.json",
        "n.html",
        "n.ipynb",
        "ro-crate-metadata.json",
        "source",
    ]
    assert (folder / "source" / "n.ipynb").read_bytes() == example.before
    assert Result.load(folder / "data" / "001-made").dataset["rate"].values.tolist() == [4, 1, 2]
    assert manifest["sha256"] == hashlib.sha256(example.before).hexdigest()
    assert manifest["parameters"] == GIVEN
    assert manifest["stopped"] == ""
    figures = {5: "figures/cell05-1.png", 6: "figures/cell06-1.png"}
    assert manifest["figures"] == [{"cell": cell, "file": file} for cell, file in figures.items()]
    assert all((folder / file).read_bytes().startswith(b"\x89PNG") for file in figures.values())
    (result,) = manifest["results"]
    assert (result["cell"], result["kind"], result["directory"]) == (4, "result", "data/001-made")
    assert result["manifest"]["accelerator"] == {"kind": "tcg"}


def test_a_report_is_a_crate_that_names_every_file_and_what_made_them(example: Example) -> None:
    crate = ROCrate(example.folder)
    named = {entity.id for entity in crate.data_entities}
    files = {str(path.relative_to(example.folder)) for path in example.folder.rglob("*") if path.is_file()}
    assert files - {"ro-crate-metadata.json"} <= named
    (action,) = crate.get_by_type("CreateAction")
    assert action["instrument"]["name"] == "fame_lab"
    assert action["object"][0].id == "source/n.ipynb"
    assert crate.dereference("data/001-made/")["description"].startswith("result of cell 4")
    text = json.dumps(crate.metadata.generate()).replace(json.dumps(action["name"]), "")
    assert str(example.source.parent) not in text


def test_the_commands_are_what_was_run_and_what_runs_it_again(example: Example) -> None:
    ran, rerun, again = example.manifest["commands"]
    options = ["-p", "nodes=4", "-p", "fam=256M", "-p", "name=it's", "-p", "sizes=[1, 2]"]
    output = str(example.source.parent / "out of it")
    assert shlex.split(ran) == ["fame-lab", "report", str(example.source), *options, "--output", output]
    assert rerun == "fame-lab rerun ."
    assert shlex.split(again) == ["fame-lab", "report", "source/n.ipynb", *options, "--output", "../again"]


def test_the_page_says_where_its_numbers_come_from_and_escapes_it(example: Example) -> None:
    text = example.page.read_text().partition("Where this comes from")[2]
    assert "nodes = 4" in text and "data/001-made" in text
    assert "&lt;b&gt;" in text and "<b>" not in text


def test_a_run_that_fails_keeps_what_it_had_measured_and_says_where_it_stopped(stopped: Stopped) -> None:
    manifest = json.loads((stopped.folder / "manifest.json").read_text())
    assert manifest["stopped"].startswith("cell 3 of 4 failed with ValueError")
    assert Result.load(stopped.folder / manifest["results"][0]["directory"]).probe == "made"


def test_a_report_replaces_an_earlier_one_of_its_notebook_as_a_whole(
    example: Example, tmp_path: Path
) -> None:
    shutil.copytree(example.folder, tmp_path / "out")
    report(notebook(tmp_path, "print('new')"), tmp_path / "out")
    assert not (tmp_path / "out" / "data").exists()
    assert "new" in (tmp_path / "out" / "n.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n.ipynb", "out"]


@pytest.mark.parametrize("names", [["data"], ["n.html", "notes.md"], ["manifest.json"]])
def test_a_directory_that_holds_something_else_is_left_alone(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "out").mkdir()
    for name in names:
        (tmp_path / "out" / name).write_text("{}")
    with pytest.raises(SpecError, match="holds something else than a report"):
        report(notebook(tmp_path, "1"), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


def test_an_interrupted_run_shows_what_there_was_but_never_in_an_earlier_report_s_place(
    tmp_path: Path,
) -> None:
    def interrupt_at_the_second(stage: str) -> None:
        if stage.startswith("cell 2"):
            raise KeyboardInterrupt

    source, out = notebook(tmp_path, "print('so ' 'far')", "1"), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        report(source, out, progress=interrupt_at_the_second)
    assert "so far" in (out / "n.html").read_text()
    assert json.loads((out / "manifest.json").read_text())["stopped"] == "it was interrupted"
    report(source, out)
    assert "stopped" in (out / "manifest.json").read_text()
    before = (out / "n.html").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        report(source, out, progress=interrupt_at_the_second)
    assert (out / "n.html").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n.ipynb", "out"]
