"""The package's layers, of which none imports one above it, and files, of which none imports in a circle."""

import subprocess
import sys
from graphlib import TopologicalSorter

import grimp
from repository import ROOT

PACKAGE = ROOT / "fame_lab"
FOLDERS = [each.parent for each in PACKAGE.rglob("__init__.py")]


def test_no_layer_imports_one_above_it() -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_imports_in_a_circle() -> None:
    graph = grimp.build_graph("fame_lab", cache_dir=None)
    modules = {each: graph.find_modules_directly_imported_by(each) for each in graph.modules}
    assert len(modules) > 200
    TopologicalSorter(modules).prepare()  # it raises CycleError, with the circle


def test_what_is_called_by_name_is_there() -> None:
    from fame_lab.core import above

    for name in above._PLACES:
        assert above.load(name).__name__ == above._PLACES[name]


def test_the_top_of_the_package_is_seen_at_a_glance() -> None:
    assert len([each for each in PACKAGE.iterdir() if each.name != "__pycache__"]) <= 18


def test_each_folder_says_in_a_sentence_what_lives_there() -> None:
    for folder in FOLDERS:
        if folder != PACKAGE:
            assert (folder / "__init__.py").read_text().startswith('"""'), folder
