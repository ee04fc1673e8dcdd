import json
from pathlib import Path

import pytest
from made_results import a_chase, a_report

from fame_lab.cli import main


def test_what_was_made_differently_is_printed_before_any_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = a_chase().save(tmp_path / "a"), a_chase(1, times=2, mapping="write-back").save(tmp_path / "b")
    assert main.main(["compare", str(a), str(b)]) == 0
    output = capsys.readouterr().out
    assert output.index("mapping: uncached-minus | write-back") < output.index("3 agree, 2 differ")


def test_a_program_reads_json_and_a_picture_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = str(a_report(tmp_path / "report", {"001-chase": a_chase()}))
    assert main.main(["compare", report, report, "--json", "--plot", str(tmp_path / "it.png")]) == 0
    fields = json.loads(capsys.readouterr().out)
    assert fields["agrees"] and fields["differs"] == [] and fields["verdicts"]["agrees"] == 5
    assert (tmp_path / "it.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("plot", ["it.exe", "nowhere/it.png", "there.png"])
def test_a_picture_that_cannot_be_is_refused_before_anything_is_read(
    tmp_path: Path, plot: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there.png").write_text("kept")
    words = ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--plot", str(tmp_path / plot)]
    assert main.main(words) == 1
    assert "--plot is" in capsys.readouterr().err
    assert (tmp_path / "there.png").read_text() == "kept"


def test_what_cannot_be_compared_is_said_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["compare", str(tmp_path), str(tmp_path)]) == 1
    assert "holds no result, no traffic and no report" in capsys.readouterr().err
