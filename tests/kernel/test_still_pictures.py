from pathlib import Path
from typing import Any

import nbformat

from fame_lab.experiments.report.report import report


def test_a_notebook_with_the_magic_makes_a_report_of_still_pictures(tmp_path: Path) -> None:
    cells = [
        "%matplotlib widget\nfrom fame_lab.results import plots",
        "plots.figure('A title', {}, 'n = 3')[0]",
    ]
    content: Any = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    source = tmp_path / "one.ipynb"
    source.write_text(nbformat.writes(content))
    page = report(source, tmp_path / "out")
    executed = nbformat.read(page.with_suffix(".ipynb"), as_version=4)
    [output] = executed.cells[1].outputs
    assert sorted(output.data) == ["image/png", "text/plain"]
    assert "data:image/png" in page.read_text()
