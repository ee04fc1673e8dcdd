"""Notebooks for tests, as small as they can be."""

from pathlib import Path

import nbformat

#: Keeps a result for the report, as a probe does, without a lab.
KEEPS = """
import xarray as xr
from fame_lab import Result
from fame_lab.results.capture import keep
dataset = xr.Dataset({"rate": ("batch", [float(nodes), 1.0, 2.0], {"units": "1/s"})})
result = Result("made", dataset, {"accelerator": {"kind": "tcg"}, "mapping": "<b>", "spec": {"nodes": nodes}})
keep("made", result.save)
"""


def notebook(directory: Path, *cells: str, markdown: str = "", parameters: str = "") -> Path:
    content = nbformat.v4.new_notebook()
    content.cells = [nbformat.v4.new_code_cell(source.strip()) for source in cells]
    if parameters:
        content.cells.insert(0, nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    if markdown:
        content.cells.insert(0, nbformat.v4.new_markdown_cell(markdown))
    content.metadata["kernelspec"] = {"name": "of-another-machine", "display_name": "?", "language": "python"}
    path = directory / "n.ipynb"
    path.write_text(nbformat.writes(content))
    return path
