"""The notebooks: how they are stored, and that each runs to its end and draws what it is to draw."""

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from repository import ROOT

from fame_lab.experiments.recorded import recorded_names
from fame_lab.experiments.report.report import report

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: What the report of a notebook must say, whatever the host.
SAYS = {
    "01_first_lab": [
        r"00:09\.0 RAM memory: Red Hat, Inc\. ",  # what follows is worded by pci.ids
        r"node02 loads\s+0xFA\nnumpy on the host\s+0xfa\nnode01 loads 0x42\nnode02 loads 0x42",
    ],
    "02_anatomy_of_fam": [
        r"BAR2 +67,108,864 bytes at 0x[0-9a-f]+  64 bit, prefetchable\n\nFAM has 67,108,864 bytes",
        r"/dev/fam is /sys/devices/\S+/resource2",
        r">([\d,]+) pages are signed, \1 of them by the node at which they are at home",
    ],
    "03_latency": [
        r"clock: [\d,]+ ns a look, in steps of \d+ ns",
        r"Pond +published: local 78 ns, remote 142 ns",
    ],
    "04_cross_node_communication": [r"node02 looked (more than )?once, then read: hello from node01"],
    "05_atomics_and_memory_order": [
        r"atomic: +2,000,000 to 2,000,000 are there",
        r"node02 -smp 1,maxcpus=2",
        r"-smp 1,maxcpus=2 +20,000,000 of 20,000,000 atomic additions are there",
    ],
    "06_access_patterns_and_traffic": [
        r"own +the program tells ([\d,]+), the trace \1 +equal in every cell",
        r"remote +the program tells ([\d,]+), the trace \1 +equal in every cell",
        r"interleaved +the program tells ([\d,]+), the trace \1 +equal in every cell",
        r"must be: ([\d,]+ bytes loaded, [\d,]+ stored)\n( *node0\d: \1\n){3}",
        r"interleaved +projected: ",
    ],
    "07_placement": [
        r"interleaved +busiest link: [\d,]+ bytes served, projected \d+\.\d\d% of the time",
        r"go there: 8,192, 16,384, 32,768, 65,536 remote accesses",
        r"move it: (8,192, ){3}8,192 remote accesses",
    ],
    "08_many_nodes": [r"[1-8] nodes: (template|cold)", r"each node more: \d+\.\d\d s"],
    "09_reproducible_experiment": [
        r"of own, at most 0\.0 is remote",
        r"seed: 1 \| 2",
        r"still here: False",
    ],
    "10_what_a_fabric_carries": [
        r" 1M: 1?\d\.\d % of the accesses miss",
        r"projected [\d.]+ ms; from accesses at most",
        r"lines that are falsely shared: 0",
        r"dirty copies of one line at the end: \[1, 1",
        r"waits done are 1\.\d+ x the waits asked for",
    ],
}
#: Smaller labs and shorter batches, for those whose own take longest.
FEWER: dict[str, dict[str, Any]] = {
    "05_atomics_and_memory_order": {"iterations": 50_000},
    "06_access_patterns_and_traffic": {"operations": 1 << 12},
    "07_placement": {"nodes": 2, "operations": 2048},
    "08_many_nodes": {"nodes": 4},
    "09_reproducible_experiment": {"sizes": [2], "repeats": 1, "operations": 1 << 13},
    "10_what_a_fabric_carries": {"nodes": 2, "operations": 1 << 12, "additions": 1000},
}
#: A cell with one of these is to show a picture.
DRAWS = re.compile(r"\bplot\(|\bplt\.subplots\(|\bplots\.(figure|side_by_side|access_order)\(")

pytestmark = [
    pytest.mark.skipif(not (ROOT / "Makefile").is_file(), reason="notebooks are in a clone only"),
    pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem),
]


def code_of(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def pictures(cell: nbformat.NotebookNode) -> int:
    return sum("image/png" in output.get("data", {}) for output in cell.outputs)


def test_it_is_stored_without_outputs_in_a_form_whose_changes_can_be_read(path: Path) -> None:
    text = path.read_text()
    content = nbformat.read(path, as_version=4)
    nbformat.validate(content)
    assert text.startswith('{\n "cells"') and text.endswith("}\n")
    assert all(isinstance(cell["source"], list) for cell in json.loads(text)["cells"])  # line by line
    assert all(not cell.outputs and cell.execution_count is None for cell in code_of(path))
    identities = [cell.id for cell in content.cells]
    assert len(set(identities)) == len(identities) <= 25
    assert not re.search(r"/(root|home|work|tmp)/", text)


def test_what_can_be_set_is_in_its_first_code_cell(path: Path) -> None:
    tags = [cell.metadata.get("tags", []) for cell in code_of(path)]
    assert [("parameters" in tag) for tag in tags] == [True, *[False] * (len(tags) - 1)]


def test_it_asks_and_draws_and_sets_an_exercise_and_puts_its_lab_away(path: Path) -> None:
    content = nbformat.read(path, as_version=4)
    prose = "\n".join(cell.source for cell in content.cells if cell.cell_type == "markdown")
    code = code_of(path)
    assert "?" in prose
    assert re.search(r"^## Exercises?$", prose, re.MULTILINE)
    assert any(DRAWS.search(cell.source) for cell in code)
    started = any(".start()" in cell.source for cell in code)
    assert not started or "lab.stop()" in code[-1].source


def test_it_tells_which_of_its_first_measurements_are_recorded_too(path: Path) -> None:
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    code = "\n".join(cell.source for cell in code_of(path))
    measured = set(re.findall(r'lab\.probe\(\s*"(\w+)"', code)) & set(recorded_names())
    if path.stem in ("02_anatomy_of_fam", "08_many_nodes", "10_what_a_fabric_carries"):
        measured = set()  # of homes, of more nodes than were recorded, and of distance that is felt
    assert set(re.findall(r'fame_lab\.recorded\("(\w+)"\)', text)) == measured


@pytest.mark.vm
@pytest.mark.timeout(600)
def test_it_runs_to_its_end_and_shows_each_picture(path: Path, tmp_path: Path) -> None:
    runs_and_draws(path, tmp_path, FEWER.get(path.stem, {}))


@pytest.mark.vm
@pytest.mark.soak
@pytest.mark.timeout(600)
def test_it_runs_with_its_own_parameters(path: Path, tmp_path: Path) -> None:
    runs_and_draws(path, tmp_path, {})


def runs_and_draws(path: Path, folder: Path, parameters: dict[str, Any]) -> None:
    stages: list[str] = []
    page = report(path, folder, parameters=parameters, progress=stages.append)
    text = page.read_text()
    executed = code_of(page.with_suffix(".ipynb"))
    for cell in executed:
        assert bool(pictures(cell)) == bool(DRAWS.search(cell.source)), cell.source
    assert text.count('src="data:image/png;base64,') == sum(map(pictures, executed))
    for wanted in SAYS.get(path.stem, []):
        assert re.search(wanted, text), wanted
    assert not [line for line in stages if "left running" in line]
