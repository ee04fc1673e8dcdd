from pathlib import Path

import pytest
from made_notebook import notebook

from fame_lab.errors import HostError
from fame_lab.experiments.report.report import report


def test_where_no_page_can_be_written_no_cell_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbconvert.exporters.templateexporter.jupyter_path", lambda *_: [])
    stages: list[str] = []
    with pytest.raises(HostError, match="JUPYTER_PATH"):
        report(notebook(tmp_path, "1"), tmp_path / "out", progress=stages.append)
    assert stages == []
    assert not (tmp_path / "out").exists()
