from collections.abc import Callable
from pathlib import Path

import pytest
from made_notebook import notebook

from fame_lab.errors import ReportError
from fame_lab.experiments.report.manifest import ReportManifest
from fame_lab.experiments.report.report import report

Ends = Callable[[BaseException], None]


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Ends:
    """End a run of cells with an error, without a kernel."""

    def raises(error: BaseException) -> None:
        def execute(*_: object) -> None:
            raise error

        monkeypatch.setattr("fame_lab.experiments.report.report.execute", execute)

    return raises


def test_what_ended_a_run_is_known_by_its_kind_and_not_by_its_message(tmp_path: Path, ends: Ends) -> None:
    ends(ReportError("it was interrupted"))
    with pytest.raises(ReportError, match=r"n\.ipynb: it was interrupted; the report up to there is"):
        report(notebook(tmp_path, "1"), tmp_path / "out")


def test_an_interrupted_run_leaves_a_report_that_says_so(tmp_path: Path, ends: Ends) -> None:
    ends(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        report(notebook(tmp_path, "1"), tmp_path / "out")
    manifest = ReportManifest.read(tmp_path / "out")
    assert manifest.stopped == "it was interrupted" and manifest.time["ended"]
    assert "it was interrupted" in (tmp_path / "out" / "n.html").read_text()


def test_an_interrupted_run_leaves_an_earlier_report_as_it_was(tmp_path: Path, ends: Ends) -> None:
    source = notebook(tmp_path, "1")
    ends(ReportError("cell 1 of 1 failed"))
    with pytest.raises(ReportError):
        report(source, tmp_path / "out")
    before = (tmp_path / "out" / "manifest.json").read_bytes()
    ends(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        report(source, tmp_path / "out")
    assert (tmp_path / "out" / "manifest.json").read_bytes() == before
