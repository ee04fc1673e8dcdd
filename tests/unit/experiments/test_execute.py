import sys
from pathlib import Path

import pytest
from made_notebook import notebook

from fame_lab.errors import HostError
from fame_lab.experiments.report.report import report


def test_a_kernel_that_cannot_be_run_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = notebook(tmp_path, "1")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(HostError, match=r"kernel cannot be run by .*no-python"):
        report(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
