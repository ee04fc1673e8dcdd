import hashlib
import json
import re
import shlex
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from made_notebook import KEEPS, notebook

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


class Outside(HTMLParser):
    """Collects what a browser would fetch from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            fetched = name in ("src", "srcset", "poster", "data") or (name == "href" and tag != "a")
            if fetched and not (value or "").startswith(("data:", "#")):
                self.found.append(f"<{tag} {name}={value}>")


def test_the_page_has_outputs_and_plots(tmp_path: Path) -> None:
    page = report(notebook(tmp_path, "print(6 * 7)", PLOT, markdown="# Question"), tmp_path / "out")
    text = page.read_text()
    assert page == tmp_path / "out" / "n.html"
    assert "42" in text and "Question" in text
    assert "data:image/png;base64," in text
    assert 'alt="Picture that figure shows"' in text


def test_the_page_refers_to_nothing_outside(tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    cells = (
        "import ipywidgets; ipywidgets.IntSlider()",
        "from IPython.display import Javascript; Javascript('alert(1)')",
        "from IPython.display import HTML; HTML('<a href=\"https://example.org\">link</a>')",
    )
    page = report(notebook(tmp_path, *cells, markdown="$x^2$ ![p](p.png)"), tmp_path / "out")
    outside = Outside()
    outside.feed(page.read_text())
    assert outside.found == []
    assert not re.search(r"<script\b", page.read_text())
    assert not re.search(r"@import|url\(\s*['\"]?(?:https?:)?//", page.read_text())
    assert "default-src 'none'" in page.read_text()


def test_a_backend_for_files_alone_still_gives_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    page = report(
        notebook(tmp_path, "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()"), tmp_path / "o"
    )
    assert "data:image/png;base64," in page.read_text()


def test_the_kernel_is_the_python_that_runs_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered = tmp_path / "share" / "kernels" / "python3"
    registered.mkdir(parents=True)
    (registered / "kernel.json").write_text(json.dumps({"argv": ["/nowhere/python"], "display_name": "no"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    page = report(notebook(tmp_path, "import sys; print(sys.executable)"), tmp_path / "out")
    assert sys.executable in page.read_text()


def test_the_notebook_is_left_alone_and_an_executed_one_lies_beside_the_page(tmp_path: Path) -> None:
    source = notebook(tmp_path, "print(6 * 7)")
    before = source.read_bytes()
    page = report(source, tmp_path / "out")
    assert source.read_bytes() == before
    executed = nbformat.read(page.with_suffix(".ipynb"), as_version=4)
    assert executed.cells[0].outputs[0].text == "42\n"


def test_a_failing_cell_is_told_and_shown_on_the_page(tmp_path: Path) -> None:
    source = notebook(tmp_path, "print('before')", "1 / 0", "print('never')")
    with pytest.raises(ReportError, match="cell 2 of 3 failed with ZeroDivisionError"):
        report(source, tmp_path / "out")
    text = (tmp_path / "out" / "n.html").read_text()
    assert "before" in text
    assert "cell 2 of 3 failed with ZeroDivisionError" in text


def test_a_message_from_a_cell_is_escaped_on_the_page(tmp_path: Path) -> None:
    source = notebook(tmp_path, "raise ValueError('<script>alert(1)</script>')")
    with pytest.raises(ReportError):
        report(source, tmp_path / "out")
    assert "<script>" not in (tmp_path / "out" / "n.html").read_text()


def test_a_cell_that_takes_too_long_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="cell 1 of 1 took more than 1 s"):
        report(notebook(tmp_path, "import time; time.sleep(60)"), tmp_path / "out", cell_deadline=1)


def test_a_kernel_that_dies_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="cell 1 of 1 ended the kernel"):
        report(notebook(tmp_path, "import os; os._exit(1)"), tmp_path / "out")


def test_progress_names_each_cell(tmp_path: Path) -> None:
    told: list[str] = []
    report(notebook(tmp_path, "a = 1", "b = 2", markdown="# Title"), tmp_path / "out", progress=told.append)
    assert told == ["cell 2 of 3: a = 1", "cell 3 of 3: b = 2"]


def test_a_report_is_a_job_with_a_step_a_cell(tmp_path: Path) -> None:
    heard: list[tuple[int, int | None, str]] = []
    source = notebook(tmp_path, "a = 1", "1 / 0", markdown="# Title")
    with listen(lambda *told: heard.append(told)), pytest.raises(ReportError):
        report(source, tmp_path / "out")
    assert heard == [
        (0, 3, "n.ipynb"),
        (1, 3, "n.ipynb"),
        (1, 3, "cell 2 of 3: a = 1"),
        (2, 3, "cell 2 of 3: a = 1"),
        (2, 3, "cell 3 of 3: 1 / 0"),
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


def test_parameters_take_the_place_of_the_notebook_s_own(tmp_path: Path) -> None:
    source = notebook(tmp_path, "print('nodes:', nodes, fam)", parameters="nodes, rest = 2, 0\nfam = '64M'")
    page = report(source, tmp_path / "out", parameters={"fam": "256M"})
    assert "nodes: 2 256M" in page.read_text()


def test_a_parameter_that_the_notebook_has_not_is_refused_before_it_runs(tmp_path: Path) -> None:
    source = notebook(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')", parameters="nodes = 2")
    with pytest.raises(SpecError, match="no parameter 'node'; it has nodes"):
        report(source, tmp_path / "out", parameters={"node": 4})
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out").exists()


def test_the_folder_has_all_that_was_made_and_where_it_comes_from(tmp_path: Path) -> None:
    source = notebook(tmp_path, KEEPS, PLOT, markdown="# Title", parameters="nodes = 2")
    folder = report(source, tmp_path / "out", parameters={"nodes": 4}).parent
    assert sorted(path.name for path in folder.iterdir()) == [
        "data",
        "figures",
        "manifest.json",
        "n.html",
        "n.ipynb",
        "ro-crate-metadata.json",
        "source",
    ]
    assert (folder / "source" / "n.ipynb").read_bytes() == source.read_bytes()
    assert Result.load(folder / "data" / "001-made").dataset["rate"].values.tolist() == [4, 1, 2]
    assert (folder / "figures" / "cell05-1.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads((folder / "manifest.json").read_text())
    assert told["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert told["parameters"] == {"nodes": 4}
    assert told["stopped"] == ""
    assert told["figures"] == [{"cell": 5, "file": "figures/cell05-1.png"}]
    (result,) = told["results"]
    assert (result["cell"], result["kind"], result["directory"]) == (4, "result", "data/001-made")
    assert result["manifest"]["accelerator"] == {"kind": "tcg"}


def test_the_commands_are_what_was_run_and_what_runs_it_again(tmp_path: Path) -> None:
    source = notebook(tmp_path, "1", parameters="name, sizes = 0, 0\nsizes = 1\nname = 2")
    output = tmp_path / "out of it"
    folder = report(source, output, parameters={"name": "it's", "sizes": [1, 2]}).parent
    ran, rerun, again = json.loads((folder / "manifest.json").read_text())["commands"]
    given = ["-p", "name=it's", "-p", "sizes=[1, 2]"]
    assert shlex.split(ran) == ["fame-lab", "report", str(source), *given, "--output", str(output)]
    assert rerun == "fame-lab rerun ."
    assert shlex.split(again) == ["fame-lab", "report", "source/n.ipynb", *given, "--output", "../again"]


def test_the_page_says_where_its_numbers_come_from_and_escapes_it(tmp_path: Path) -> None:
    page = report(
        notebook(tmp_path, KEEPS, parameters="nodes = 2"), tmp_path / "out", parameters={"nodes": 3}
    )
    text = page.read_text().partition("Where this comes from")[2]
    assert "nodes = 3" in text and "data/001-made" in text
    assert "&lt;b&gt;" in text and "<b>" not in text


def test_a_run_that_fails_keeps_what_it_had_measured_and_says_where_it_stopped(tmp_path: Path) -> None:
    source = notebook(tmp_path, KEEPS + "\n1 / 0", "print('never')", parameters="nodes = 2")
    with pytest.raises(ReportError, match="cell 2 of 3 failed"):
        report(source, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert told["stopped"].startswith("cell 2 of 3 failed with ZeroDivisionError")
    assert Result.load(tmp_path / "out" / told["results"][0]["directory"]).probe == "made"


def test_a_report_replaces_an_earlier_one_of_its_notebook_as_a_whole(tmp_path: Path) -> None:
    source = notebook(tmp_path, KEEPS, parameters="nodes = 2")
    report(source, tmp_path / "out")
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
    before = report(source, out).read_bytes()
    with pytest.raises(KeyboardInterrupt):
        report(source, out, progress=interrupt_at_the_second)
    assert (out / "n.html").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n.ipynb", "out"]
