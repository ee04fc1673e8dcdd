"""What comes on standard input goes to what runs in the nodes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fame_lab import Lab

FAME_LAB = [sys.executable, "-m", "fame_lab"]


def run(lab: Lab, *words: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*FAME_LAB, "run", lab.spec.name, *words], input=stdin, capture_output=True, timeout=300
    )


@pytest.mark.vm
def test_run_passes_it_on_to_one_node_or_to_each(lab: Lab) -> None:
    done = run(lab, "--node", "node01", "--", "cat", stdin=b"x\n")
    assert (done.stdout, done.returncode) == (b"node01: x\n", 0), done.stderr
    assert run(lab, "--", "cat", stdin=b"x\n").stdout == b"node01: x\nnode02: x\n"
    assert run(lab, "-n", "--", "cat", stdin=b"x\n").stdout == b""
    content = os.urandom(200_000)
    size = run(lab, "--node", "node02", "--", "wc -c; echo " + "x" * 10_000, stdin=content).stdout
    assert size.split()[1] == b"200000"


@pytest.mark.vm
def test_run_ends_with_its_command_though_its_input_does_not(lab: Lab, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    words = [*FAME_LAB, "run", lab.spec.name, "--", "head -n 1"]
    with subprocess.Popen(words, stdin=reading, stdout=subprocess.PIPE) as running:
        os.write(writing, b"one\n")
        output, _ = running.communicate(timeout=120)
    for each in (reading, writing):
        os.close(each)
    assert output == b"node01: one\nnode02: one\n"
