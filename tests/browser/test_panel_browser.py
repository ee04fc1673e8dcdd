"""The control panel as a person uses it: a real JupyterLab, a real browser, real nodes."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_lab import JupyterLab, kernels
from leftovers import leftovers, qemu_processes
from notebook_page import NotebookPage
from playwright.sync_api import Browser, ConsoleMessage, Locator, expect
from waiting import wait_for

from fame_lab import Lab, LabSpec

pytestmark = [pytest.mark.vm, pytest.mark.browser]

NAME = f"panel-{os.getpid()}"
PANEL = "import fame_lab\npanel = fame_lab.panel()\npanel"
BUSY = """
import pathlib, time
for _ in range(300):
    if pathlib.Path("enough").exists():
        break
    time.sleep(0.1)
"""
THREADS = """
import comm, threading
sorted(t.name for t in threading.enumerate() if "panel" in t.name), len(comm.get_comm_manager().comms)
"""


class PanelPage(NotebookPage):
    """The panel on the page, found by what a person sees."""

    def __init__(self, browser: Browser, address: str, pictures: Path) -> None:
        super().__init__(browser, address, pictures)
        self.page.set_viewport_size({"width": 1280, "height": 1500})
        self.element = self.page.locator(".fame-panel:visible")
        self.rows = self.element.locator(".fame-nodes tbody tr")
        self.alerts = self.element.locator(".fame-alert:visible")
        self.errors: list[str] = []
        self.page.on("console", self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        # What the panel itself brings into the page has no business on its console.
        if message.type == "error" and "fame" in message.text:
            self.errors.append(message.text)

    def choose_probe(self, name: str) -> None:
        self.tab("Probes")
        options = self.page.locator("option", has_text="pingpong")
        self.element.locator("select:visible").filter(has=options).select_option(name)

    def open(self) -> None:
        self.run(0)
        expect(self.button("Start")).to_be_visible()

    def button(self, words: str) -> Locator:
        return self.element.locator("button:visible", has_text=re.compile(rf"^\s*{words}$"))

    def field(self, name: str) -> Locator:
        row = self.element.locator(".widget-hbox:visible").filter(
            has=self.page.get_by_text(re.compile(f"^{re.escape(name)}$"))
        )
        return row.locator("input, select").first

    def reason(self, name: str) -> Locator:
        row = self.element.locator(".widget-hbox:visible").filter(
            has=self.page.get_by_text(re.compile(f"^{re.escape(name)}$"))
        )
        return row.locator(".fame-reason")

    def tab(self, name: str) -> None:
        self.element.get_by_role("tab", name=name, exact=True).click()

    def says(self, words: str) -> None:
        expect(self.element.get_by_text(words).locator("visible=true").first).to_be_visible()

    def fill(self, nodes: int = 2, fam: str = "64M", start: str = "auto") -> None:
        self.field("name").fill(NAME)
        self.field("nodes").fill(str(nodes))
        self.field("FAM").fill(fam)
        self.field("start").select_option(start)

    def begin(self) -> None:
        """Begin a start that is under way for some seconds, however busy the browser is."""
        self.fill(nodes=8, start="cold")
        self.button("Start").click()
        expect(self.rows.filter(has_text="booting").first).to_be_visible()

    def start(self) -> None:
        self.fill()
        self.button("Start").click()
        self.says(f"{NAME} is ready")

    def stop(self) -> None:
        self.button("Stop").click()
        self.says("stopped; nothing is left of it")


@pytest.fixture(scope="module")
def panel(jupyter: JupyterLab, browser: Browser, screenshots: Path) -> Iterator[PanelPage]:
    page = PanelPage(browser, jupyter.write("panel.ipynb", PANEL, BUSY, THREADS, "1 + 1"), screenshots)
    page.open()
    yield page
    page.close()
    assert page.errors == []
    # A lab that a kernel started runs on when that kernel ends.
    for entry in Lab.list():
        if entry.name == NAME:
            entry.end()


@pytest.fixture(scope="module")
def running(panel: PanelPage) -> Iterator[PanelPage]:
    """The panel with a lab that runs, from the first test that asks for it to the end of the last."""
    panel.start()
    yield panel
    panel.stop()
    assert leftovers(NAME) == []


def test_each_field_says_as_it_is_typed_why_it_cannot_be(panel: PanelPage) -> None:
    panel.field("name").fill("a b")
    panel.field("nodes").fill("41")
    panel.field("FAM").fill("3M")
    expect(panel.reason("name")).to_contain_text("name is 'a b': give 1 to 32 letters")
    expect(panel.reason("nodes")).to_contain_text("nodes is 41: give a whole number from 1 to 40")
    expect(panel.reason("FAM")).to_contain_text("the nearest that work are 2M and 4M")
    panel.says("Start waits for: name, nodes, FAM")
    expect(panel.button("Start")).to_be_disabled()
    panel.screenshot("panel-1-reasons")
    panel.fill()
    expect(panel.element.locator(".fame-reason:visible")).to_have_count(0)
    expect(panel.button("Start")).to_be_enabled()


def test_the_doctors_verdict_is_there(panel: PanelPage) -> None:
    panel.says("A lab can run on this host")
    panel.tab("Doctor")
    panel.says("room for FAM")
    panel.screenshot("panel-2-doctor")
    panel.tab("Commands")


def test_rows_turn_ready_a_command_and_a_probe_run_and_all_is_stopped(panel: PanelPage) -> None:
    panel.fill()
    panel.button("Start").click()
    expect(panel.rows).to_have_count(2)
    panel.screenshot("panel-2-starting")
    for row in (panel.rows.nth(0), panel.rows.nth(1)):
        expect(row).to_contain_text("ready")
        expect(row).to_contain_text(re.compile(r"127\.0\.0\.1:\d+"))
        expect(row).to_contain_text(re.compile(r"\d+ MiB"))
    expect(panel.rows.nth(1)).to_contain_text("fame: node02 ready")
    panel.screenshot("panel-4-ready")

    command = panel.element.get_by_placeholder("a command for the node's shell")
    command.fill("uname -n; echo '<b>bold</b>'; exit 7")
    command.press("Enter")
    panel.says("exit status 7")
    assert "node02" in panel.element.inner_text()
    assert "<b>bold</b>" in panel.element.inner_text()
    panel.screenshot("panel-5-command")

    panel.choose_probe("pingpong")
    panel.says("half a round trip")
    panel.button("Run").click()
    panel.screenshot("panel-6-probing")
    panel.says("pingpong done")
    picture = panel.element.locator("img:visible")
    expect(picture).to_have_count(1)
    wait_for(lambda: picture.evaluate("image => image.complete && image.naturalWidth") == 800)
    panel.screenshot("panel-7-plot")
    panel.tab("Log")
    panel.says("lab.probe('pingpong')")
    panel.screenshot("panel-8-log")
    panel.tab("Commands")

    panel.stop()
    expect(panel.rows).to_have_count(0)
    panel.screenshot("panel-9-stopped")
    assert leftovers(NAME) == []


def test_a_start_that_cannot_be_says_why_in_full(panel: PanelPage) -> None:
    panel.fill(fam="2T")
    panel.button("Start").click()
    expect(panel.alerts).to_contain_text("fam is 2T: TCG has 40 physical address bits here")
    panel.says("not started")
    panel.screenshot("panel-14-cannot-start")
    expect(panel.button("Start")).to_be_enabled()


def test_a_launch_cancelled_half_way_leaves_nothing(panel: PanelPage) -> None:
    panel.begin()
    panel.screenshot("panel-3-booting")
    panel.button("Cancel").click()
    panel.says("cancelled; nothing is left of it")
    panel.screenshot("panel-14-cancelled")
    assert leftovers(NAME) == []
    expect(panel.button("Start")).to_be_enabled()


def test_cancel_is_heard_while_a_cell_runs(panel: PanelPage, jupyter: JupyterLab) -> None:
    panel.begin()
    panel.cell(1).locator(".cm-content").click()
    panel.page.keyboard.press("Control+Enter")
    expect(panel.cell(1).locator(".jp-InputPrompt")).to_have_text("[*]:")
    panel.button("Cancel").click()
    panel.says("cancelled; nothing is left of it")
    expect(panel.cell(1).locator(".jp-InputPrompt")).to_have_text("[*]:")
    assert leftovers(NAME) == []
    (jupyter.directory / "notebooks" / "enough").touch()
    expect(panel.cell(1).locator(".jp-InputPrompt")).not_to_have_text("[*]:")


def test_a_lab_ended_elsewhere_is_seen_and_let_go(panel: PanelPage) -> None:
    panel.start()
    next(entry for entry in Lab.list() if entry.name == NAME).end()
    panel.says(f"{NAME} was ended elsewhere")
    expect(panel.button("Start")).to_be_enabled()
    panel.screenshot("panel-16-ended-elsewhere")


def test_a_lab_that_runs_already_is_taken_up_and_let_go(panel: PanelPage) -> None:
    with Lab(LabSpec(f"{NAME}-b", nodes=1, fam="64M"), progress=False):
        choice = panel.element.locator("select:visible").first
        expect(choice.locator("option", has_text=f"{NAME}-b")).to_have_count(1)
        choice.select_option(label=f"{NAME}-b: 1 node around 64M of FAM")
        panel.says(f"attached to {NAME}-b")
        expect(panel.rows).to_have_count(1)
        expect(panel.rows.first).to_contain_text("running")
        panel.screenshot("panel-17-attached")
        choice.select_option(label="a new lab")
        expect(panel.rows).to_have_count(0)
        assert [entry.name for entry in Lab.list() if entry.name == f"{NAME}-b"] == [f"{NAME}-b"]
    panel.fill()


def test_a_restarted_kernel_takes_up_the_lab_that_it_had(panel: PanelPage) -> None:
    panel.start()
    panel.restart_kernel()
    panel.run(0)
    panel.says(f"attached to {NAME}")
    expect(panel.rows).to_have_count(2)
    panel.screenshot("panel-18-attached-again")
    panel.stop()
    assert leftovers(NAME) == []


def test_a_kernel_that_ends_during_a_start_leaves_nothing(panel: PanelPage, jupyter: JupyterLab) -> None:
    panel.begin()
    before = kernels(jupyter.directory)
    panel.restart_kernel()
    wait_for(lambda: not set(before) & set(kernels(jupyter.directory)))
    wait_for(lambda: leftovers(NAME) == [])
    panel.open()


def test_a_probe_is_checked_as_it_is_typed_and_cancelled_half_way(running: PanelPage) -> None:
    running.choose_probe("litmus")
    running.element.get_by_text("parameters", exact=True).locator("visible=true").click()
    running.field("iterations").fill("many")
    expect(running.reason("iterations")).to_contain_text("iterations is 'many': give a whole number")
    expect(running.button("Run")).to_be_disabled()
    running.field("iterations").fill("1000000000")
    running.button("Run").click()
    expect(running.button("Cancel").nth(1)).to_be_enabled()
    time.sleep(3)
    running.button("Cancel").nth(1).click()
    running.says("litmus was cancelled; nothing of it goes on")
    running.screenshot("panel-10-probe-cancelled")
    lab = Lab.attach(NAME)
    try:
        assert [ran.stdout for ran in lab.run("ps | grep '[f]ame-probe'; true").values()] == ["", ""]
    finally:
        lab.detach()
    running.field("iterations").fill("500000")
    running.element.get_by_text("parameters", exact=True).locator("visible=true").click()
    running.tab("Commands")


def test_a_probes_refusal_is_shown_in_full(running: PanelPage) -> None:
    running.choose_probe("ring")
    running.element.get_by_text("parameters", exact=True).locator("visible=true").click()
    expect(running.field("message_sizes")).to_be_visible()  # other probes have an offset too
    running.field("offset").fill("1T")  # which some lab could have
    running.button("Run").click()
    expect(running.alerts).to_contain_text("do not fit in FAM")
    running.screenshot("panel-11-refused")
    running.element.get_by_text("parameters", exact=True).locator("visible=true").click()
    running.tab("Commands")


def test_the_live_view_follows_a_recording(running: PanelPage) -> None:
    running.tab("Traffic")
    running.button("Record").click()
    running.says("recording: samples")
    picture = running.element.locator("img:visible")
    expect(picture).to_have_count(1)
    running.screenshot("panel-12-recording")
    running.button("Stop recording").click()
    running.says("recorded; it is panel.traffic in code")
    running.screenshot("panel-13-recorded")
    running.tab("Commands")


def test_a_node_that_dies_is_seen_and_can_be_brought_back(running: PanelPage) -> None:
    os.kill(qemu_processes(NAME)[-1], signal.SIGKILL)
    expect(running.rows.filter(has_text="gone")).to_have_count(1)
    running.screenshot("panel-15-node-gone")
    dead = running.rows.filter(has_text="gone").inner_text().split()[0]
    running.tab("Consoles")
    running.element.locator("select:visible").last.select_option(dead)
    running.button("Restart node").click()
    running.says("it is up again")
    expect(running.rows.filter(has_text="ready")).to_have_count(2)
    running.tab("Commands")


def test_running_the_cell_again_adds_nothing(running: PanelPage) -> None:
    running.run(0)
    expect(running.rows).to_have_count(2)
    before = running.run(2)
    for _ in range(3):
        running.run(0)
        expect(running.rows).to_have_count(2)
    assert running.run(2) == before
