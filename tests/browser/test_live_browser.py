"""The live view in a real JupyterLab and a real browser, while real nodes work."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_lab import JupyterLab
from leftovers import leftovers
from notebook_page import NotebookPage
from playwright.sync_api import Browser, Locator, expect
from waiting import wait_for

from fame_lab import Lab, LabSpec
from fame_lab.experiments.report.report import report

pytestmark = [pytest.mark.vm, pytest.mark.browser]

ATTACH = """
import itertools
import threading
import comm
from fame_lab import Lab
lab = Lab.attach({name!r})
"""
WORK = """
recording = lab.record().start()
enough = threading.Event()
def work():
    for megabyte in itertools.cycle(range(60)):
        if enough.is_set():
            return
        lab.run(f"fame-probe pattern --fam /dev/fam --offset {megabyte << 20}")
worker = threading.Thread(target=work)
worker.start()
"""
SHOW = """
view = recording.live()
view
"""
STOP = """
enough.set()
worker.join()
recording.stop()
"Stopped."
"""
COMMS = "len(comm.get_comm_manager().comms)"

# What becomes of an image: how often it changed, and which sizes it had on the page.
WATCH = """image => {
    const record = image.record = {changes: 0, sizes: [], sources: [image.src]}
    new MutationObserver(records => { record.changes += records.length; record.sources.push(image.src) })
        .observe(image, {attributes: true, attributeFilter: ["src"]})
    new ResizeObserver(() => record.sizes.push([image.clientWidth, image.clientHeight])).observe(image)
}"""

# How many of its pictures the browser still has.
KEPT = """async image => {
    const loads = image.record.sources.map(source => fetch(source).then(() => 1, () => 0))
    return (await Promise.all(loads)).reduce((sum, each) => sum + each)
}"""


@pytest.fixture(scope="module")
def traced() -> Iterator[Lab]:
    name = f"brow-{os.getpid()}"
    with Lab(LabSpec(name, nodes=2, fam="64M", trace=True), progress=False) as lab:
        yield lab
    assert leftovers(name) == []


@pytest.fixture(scope="module")
def notebook(traced: Lab, jupyter: JupyterLab, browser: Browser, screenshots: Path) -> Iterator[NotebookPage]:
    address = jupyter.write("live.ipynb", ATTACH.format(name=traced.spec.name), WORK, SHOW, STOP, COMMS)
    page = NotebookPage(browser, address, screenshots)
    page.run(0)
    yield page
    page.close()


class LiveView:
    """The live view on the page, of a recording that runs while the nodes work."""

    def __init__(self, notebook: NotebookPage) -> None:
        self.notebook = notebook
        notebook.run(1)
        notebook.run(2)
        output = notebook.output(2)
        self.pause = output.get_by_role("button", name="Pause")
        self.status = output.locator(".widget-html-content")
        self.image = output.locator("img")
        self.watched = self.image.element_handle()
        self.watched.evaluate(WATCH)

    @property
    def changes(self) -> int:
        return int(self.watched.evaluate("image => image.record.changes"))

    def stop(self) -> None:
        self.notebook.run(3)


@pytest.fixture
def live(notebook: NotebookPage) -> Iterator[LiveView]:
    view = LiveView(notebook)
    yield view
    view.stop()


def next_look(image: Locator, last: bytes) -> bytes:
    """Wait until it looks different, to the pixel."""
    wait_for(lambda: image.screenshot() != last)
    return image.screenshot()


def test_the_picture_changes_while_the_nodes_work(live: LiveView) -> None:
    look = live.image.screenshot()
    for number in range(4):
        live.notebook.screenshot(f"running-{number}")
        look = next_look(live.image, look)
    expect(live.status).to_have_text("running")


def test_a_pause_holds_the_picture_and_its_end_lets_it_go_on(live: LiveView) -> None:
    next_look(live.image, live.image.screenshot())
    live.pause.click()
    expect(live.status).to_have_text("paused")
    picture, changes = live.image.screenshot(), live.changes
    time.sleep(3)  # ten pictures' time
    live.notebook.screenshot("paused")
    assert (live.image.screenshot(), live.changes) == (picture, changes)
    live.pause.click()
    expect(live.status).to_have_text("running")
    next_look(live.image, picture)
    live.notebook.screenshot("unpaused")


@pytest.mark.parametrize("pictures", [20, pytest.param(40, marks=pytest.mark.soak)])
def test_many_pictures_are_one_image_and_take_no_more_room(live: LiveView, pictures: int) -> None:
    comms, began = live.notebook.run(4), live.changes
    wait_for(lambda: live.changes >= began + 5)  # and the page has settled
    before, began = live.notebook.memory(), live.changes
    wait_for(lambda: live.changes >= began + pictures)
    after = live.notebook.memory()
    assert live.notebook.run(4) == comms
    # The very element that was there first, alone, and always as large as it was drawn: nothing flickers.
    assert live.watched.evaluate("image => image.isConnected")
    assert live.image.count() == 1
    size = live.watched.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert live.watched.evaluate("image => image.record.sizes") == [size]
    # Less than if each picture had left a single node, or every other one its 20 KB.
    assert after.nodes < before.nodes + pictures
    assert after.bytes < before.bytes + pictures // 2 * 20_000
    assert live.watched.evaluate(KEPT) == 1


def test_after_the_stop_the_last_picture_stays_and_the_button_is_off(live: LiveView) -> None:
    next_look(live.image, live.image.screenshot())
    live.stop()
    expect(live.status).to_have_text("stopped")
    expect(live.pause).to_be_disabled()
    live.pause.scroll_into_view_if_needed()
    picture, changes = live.image.screenshot(), live.changes
    time.sleep(2)
    live.notebook.screenshot("stopped")
    assert (live.image.screenshot(), live.changes) == (picture, changes)
    assert live.watched.evaluate("image => image.isConnected && image.naturalWidth > 0")


def test_a_notebook_is_saved_with_it_and_follows_again_when_it_is_loaded(
    live: LiveView, jupyter: JupyterLab
) -> None:
    live.notebook.save()
    nbformat.validate(nbformat.read(jupyter.directory / "notebooks" / "live.ipynb", as_version=4))
    live.notebook.reload()
    next_look(live.image, live.image.screenshot())
    expect(live.status).to_have_text("running")
    live.notebook.screenshot("loaded-again")


def test_a_report_has_the_last_picture_in_its_place(
    traced: Lab, browser: Browser, tmp_path: Path, screenshots: Path
) -> None:
    cells = [
        ATTACH.format(name=traced.spec.name),
        "recording = lab.record().start()\nrecording.live()",
        "lab.run('fame-probe pattern --fam /dev/fam --offset 0')\nrecording.stop();",
        "recording.live()",
    ]
    source = tmp_path / "live.ipynb"
    content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    source.write_text(nbformat.writes(content))
    page = report(source, tmp_path / "out")
    executed = nbformat.read(page.with_suffix(".ipynb"), as_version=4)
    outputs, last = ([dict(each.data) for each in executed.cells[cell].outputs] for cell in (1, 3))
    assert [sorted(each) for each in outputs] == [["image/png", "text/plain"]]
    assert outputs == last
    tab = browser.new_page()
    tab.goto(page.as_uri())
    tab.screenshot(path=screenshots / "report.png", full_page=True)
    assert tab.locator("img").first.evaluate("image => image.naturalWidth") > 0
    tab.close()
