import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_notebook import notebook

from fame_lab.experiments.report.report import report
from fame_lab.lab.lab import Lab


def up(name: str) -> str:
    spec = f"LabSpec({name!r}, nodes=1, fam='1M')"
    return f"from fame_lab import Lab, LabSpec\nLab({spec}, progress=False).start()"


@pytest.mark.vm
def test_a_lab_that_the_notebook_leaves_running_ends_with_the_run(tmp_path: Path) -> None:
    name = f"report-{os.getpid()}"
    stages: list[str] = []
    report(notebook(tmp_path, up(name)), tmp_path / "out", progress=stages.append)
    assert any(name in line for line in stages)
    assert name not in {entry.name for entry in Lab.list()}


@pytest.mark.vm
def test_a_person_s_lab_is_left_alone(tmp_path: Path) -> None:
    from fame_lab.spec.lab_spec import LabSpec

    with Lab(LabSpec(f"person-{os.getpid()}", nodes=1, fam="1M"), progress=False) as lab:
        report(notebook(tmp_path, "1"), tmp_path / "out")
        assert lab.spec.name in {entry.name for entry in Lab.list()}


@pytest.mark.vm
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)])
def test_an_interrupted_run_leaves_no_lab_and_no_kernel(tmp_path: Path, number: signal.Signals) -> None:
    name = f"report-int-{os.getpid()}-{int(number)}"
    ready = tmp_path / "ready"
    tell = f"import os, pathlib, time\npathlib.Path({str(ready)!r}).write_text(str(os.getpid()))"
    source = notebook(tmp_path, up(name), f"{tell}\ntime.sleep(300)")
    process = subprocess.Popen(
        [sys.executable, "-m", "fame_lab", "report", str(source), "--output", str(tmp_path / "out")],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + 120
        while not (ready.exists() and ready.read_text()):
            assert time.monotonic() < end and process.poll() is None, process.communicate()
            time.sleep(0.1)
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number], errors
        assert "Traceback" not in errors
        # Who asks for an end by Ctrl-C has what there was until then; a system that ends has no time for it.
        page = tmp_path / "out" / "n.html"
        assert page.exists() == (number == signal.SIGINT), errors
        assert number == signal.SIGTERM or "it was interrupted" in page.read_text()
        assert not Path(f"/proc/{ready.read_text()}").exists()
        assert name not in {entry.name for entry in Lab.list()}
    finally:
        process.kill()
        for entry in Lab.list():
            if entry.name == name:
                entry.end()
