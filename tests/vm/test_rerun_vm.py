import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from made_notebook import notebook

from fame_lab.lab.lab import Lab


def fame_lab(*words: str, directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fame_lab", *words]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=280, check=False)


MEASURES = """
import os
from fame_lab import Lab, LabSpec
with Lab(LabSpec(f"rerun-{os.getpid()}", nodes=nodes, fam="16M", trace=True), progress=False) as lab:
    with lab.record() as traffic:
        lab.probe("workloads", workloads="sequential", size="16K")
traffic.plot()
"""


@pytest.mark.vm
def test_a_report_of_real_nodes_is_repeated_elsewhere(tmp_path: Path) -> None:
    source = notebook(tmp_path, MEASURES, parameters="nodes = 3")
    words = ("report", source.name, "-p", "nodes=2", "--output", "out")
    first = fame_lab(*words, directory=tmp_path)
    assert first.returncode == 0, first.stderr
    assert Path(first.stdout.strip()) == tmp_path / "out" / "n.html"
    report_manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [(each["cell"], each["kind"], each["name"]) for each in report_manifest["results"]] == [
        (3, "result", "workloads"),
        (3, "traffic", "traffic"),
    ]
    for each in report_manifest["results"]:
        manifest = each["manifest"]
        assert manifest["spec"]["nodes"] == 2
        assert manifest["accelerator"]["kind"] == "tcg" and manifest["accelerator"]["reason"]
        assert manifest["versions"]["qemu"] and manifest["versions"]["libvirt"] and manifest["image"]
    assert report_manifest["results"][0]["manifest"]["mapping"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(tmp_path / "out", elsewhere / "moved")
    source.unlink()
    second = fame_lab("rerun", "moved", directory=elsewhere)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "What must agree, all but times, agrees" in second.stdout
    assert report_manifest["results"][0]["manifest"]["spec"]["name"] not in {
        entry.name for entry in Lab.list()
    }
