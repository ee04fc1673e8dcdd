import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from ipywidgets.widgets import widget as ipywidgets_widget
from leftovers import leftovers, qemu_processes
from waiting import wait_for

import fame_lab
from fame_lab import Lab, LabSpec
from fame_lab.core.kernel_env import RUN_VARIABLE
from fame_lab.notebook.panel import Panel


@pytest.fixture
def panel() -> Iterator[Panel]:
    panel = fame_lab.panel()
    yield panel
    panel.close()


@pytest.mark.vm
@pytest.mark.parametrize("times", [2, pytest.param(10, marks=pytest.mark.soak)])
def test_starts_and_stops_leave_nothing(panel: Panel, times: int) -> None:
    panel.form.show(LabSpec("tenfold", nodes=1, fam="1M"))
    widgets = set(ipywidgets_widget._instances)
    for _ in range(times):
        wait_for(lambda: not panel.start.disabled)
        panel.start.click()
        wait_for(lambda: not panel.stop.disabled)
        panel.stop.click()
        wait_for(lambda: panel.progress.said.startswith("stopped"))
        assert panel.alert.value == ""
    assert set(ipywidgets_widget._instances) <= widgets
    assert leftovers("tenfold") == []


@pytest.mark.vm
def test_the_panel_of_a_lab_starts_that_lab() -> None:
    lab = Lab(LabSpec("ownpanel", nodes=1, fam="1M"), progress=False)
    panel = lab.panel()
    try:
        assert lab.panel() is panel
        panel.start.click()
        wait_for(lambda: lab.is_running)
        wait_for(lambda: 'data-state="ready"' in panel.rows.value)
        lab.stop()
        wait_for(lambda: not panel.start.disabled)
    finally:
        panel.close()
        lab.stop()
    assert leftovers("ownpanel") == []


@pytest.mark.vm
def test_a_running_lab_is_not_asked_for(lab: Lab) -> None:
    panel = lab.panel()
    try:
        wait_for(lambda: not panel.probes.run.disabled)
        widgets = (panel.commands.status, panel.probes.progress.words, panel.recording.status)
        assert not any("Start a lab" in each.value for each in widgets)
    finally:
        panel.close()


@pytest.mark.vm
def test_a_command_given_while_the_lab_starts_runs_once_it_is_there(panel: Panel) -> None:
    panel.form.show(LabSpec("queued", nodes=1, fam="1M"))
    panel.start.click()
    panel.commands.command.value = "echo soon"
    panel.commands.run.click()
    try:
        wait_for(lambda: "soon\n" in panel.commands.output.value)
    finally:
        panel.stop.click()
        wait_for(lambda: panel.progress.said.startswith("stopped"))


@pytest.mark.vm
def test_a_running_labs_nodes_are_in_its_still(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_VARIABLE, "x")
    panel = lab.panel()
    try:
        still = panel._repr_mimebundle_()["text/html"]
    finally:
        panel.close()
    assert still.count('data-state="running"') == 2


START = """
import threading
from fame_lab import Lab, LabSpec
from fame_lab.lab.reaper import delegate_cleanup
def tell(who, stage):
    if stage == "booting":
        delegate_cleanup()
        print("handed over", flush=True)
Lab(LabSpec("orphaned", nodes=2, fam="1M"), progress=False).start(tell=tell)
"""


@pytest.mark.vm
def test_a_start_whose_process_is_killed_is_taken_away_by_whom_it_was_left_to() -> None:
    with subprocess.Popen([sys.executable, "-c", START], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "handed over\n"
        assert qemu_processes("orphaned") != []
        os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: leftovers("orphaned") == [])
