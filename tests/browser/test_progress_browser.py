"""Bars in a real JupyterLab and a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_lab import JupyterLab
from notebook_page import NotebookPage
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

READY = """
import threading
from fame_lab.core.jobs.progress import listen, job
pause = threading.Event()
"""
LONG = """
with job("chase", unit="run") as chase:
    chase.step("node01 chase fam")
    pause.wait(2)
    chase.set_total(4)
    pause.wait(1)
    chase.step(count=3)
"""
BROKEN = """
try:
    with job("broken", total=4) as broken:
        broken.step()
        pause.wait(2)
        raise KeyboardInterrupt
except KeyboardInterrupt:
    print("put away")
"""
HEARD = """
steps = []
with listen(lambda *each: steps.append(each)), job("heard", total=1) as task:
    pause.wait(2)
    task.step()
steps
"""


@pytest.fixture(scope="module")
def notebook(jupyter: JupyterLab, browser: Browser, screenshots: Path) -> Iterator[NotebookPage]:
    page = NotebookPage(browser, jupyter.write("bars.ipynb", READY, LONG, BROKEN, HEARD), screenshots)
    page.run(0)
    yield page
    page.close()


def test_a_job_that_lasts_has_one_bar_below_its_cell(notebook: NotebookPage) -> None:
    output = notebook.run(1).replace("\u2007", " ")
    notebook.screenshot("progress")
    assert "chase: 100%" in output and "4/4" in output
    assert notebook.output(1).locator(".progress").count() == 1
    assert notebook.output(1).locator("[data-mime-type*=stderr]").count() == 0


def test_a_job_that_fails_leaves_no_bar(notebook: NotebookPage) -> None:
    output = notebook.run(2)
    assert "put away" in output and "broken" not in output
    expect(notebook.output(2).locator(".progress")).to_have_count(0)


def test_a_job_that_is_heard_has_no_bar(notebook: NotebookPage) -> None:
    assert notebook.run(3) == "[(0, 1, 'heard'), (1, 1, 'heard')]"
