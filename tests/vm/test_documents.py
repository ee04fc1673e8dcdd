"""What the repository says of itself: it is to be true, and to run as written."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from repository import ROOT

from fame_lab.cli.main import COMMANDS
from fame_lab.lab.lab import Lab

TEXTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def in_a_clone() -> bool:
    return (ROOT / "Makefile").is_file()


pytestmark = pytest.mark.skipif(not in_a_clone(), reason="documents are in a clone only")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_every_command_that_the_documents_show_is_there() -> None:
    commands = {
        word for path in TEXTS for word in re.findall(r"^fame-lab (\w+)", path.read_text(), re.MULTILINE)
    }
    assert commands and commands <= set(COMMANDS)


def test_every_door_that_the_documents_name_is_in_the_makefile() -> None:
    doors = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in TEXTS:
        named = set(re.findall(r"(?:^|`)make (\w+)", path.read_text(), re.MULTILINE))
        assert named <= doors, path.name


def test_every_promise_of_security_names_tests_that_are_there() -> None:
    promises = (ROOT / "SECURITY.md").read_text().partition("## What is promised")[2].partition("\n## ")[0]
    for promise in promises.split("\n- ")[1:]:
        named = re.findall(r"`(test_\w+)(?:::(test_\w+))?`", promise)
        assert named, promise
        for file, function in named:
            (path,) = (ROOT / "tests").rglob(f"{file}.py")
            text = path.read_text()
            assert f"def {function or 'test_'}" in text, (file, function)


def test_conda_users_get_what_pip_users_get() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    by_pip = {re.split(r"[<>=]", each)[0].strip() for each in project["dependencies"]}
    lines = (ROOT / "environment.yml").read_text().splitlines()
    by_conda = {match[1] for line in lines if (match := re.match(r"  - ([a-z0-9_-]+) >=", line))}
    # these come with the package, by pip
    assert by_conda - {"python"} == by_pip - {"libvirt-python", "rocrate"}


@pytest.mark.vm
def test_the_readme_s_example_runs_as_written(tmp_path: Path) -> None:
    example, *_ = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    name = f"readme-{os.getpid()}"
    words = [sys.executable, "-c", example.replace('"readme"', repr(name))]
    try:
        run = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    finally:
        for entry in Lab.list():
            if entry.name == name:
                entry.end()
    assert run.returncode == 0, run.stderr
    assert "00:09.0 RAM memory: Red Hat, Inc." in run.stdout  # what follows is worded by pci.ids
    assert run.stdout.split()[-2:] == ["0xFA", "250"]
    assert (tmp_path / "pingpong.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.vm
def test_the_program_of_the_documents_runs_as_written(tmp_path: Path) -> None:
    text = (ROOT / "docs/programs.md").read_text()
    (program,) = re.findall(r"```c\n(.*?)```", text, re.DOTALL)
    (compiled,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "exchange.c").write_text(program)
    subprocess.run(["sh", "-ec", compiled], cwd=tmp_path, check=True)
    words = [sys.executable, "-c", example.replace('"exchange", nodes', f'"exchange-{os.getpid()}", nodes')]
    run = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=True)
    assert run.stdout == "consume: 42\n\n"
