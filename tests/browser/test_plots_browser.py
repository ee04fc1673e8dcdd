"""Figures in a real JupyterLab and a real browser: to zoom into, and still."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_lab import JupyterLab
from notebook_page import NotebookPage
from playwright.sync_api import Browser, Locator, expect
from repository import SUPPORT

pytestmark = pytest.mark.browser

MAGIC = "%matplotlib widget"
MAKE = f"""
import sys
sys.path.insert(0, {str(SUPPORT)!r})
from made_traffic import a_crowd
from fame_lab import FabricModel
figure = a_crowd(60, nodes=4).project(FabricModel.pond()).plot()
"""
SHOW = "figure"
SHOW_AGAIN = "display(figure)"
COMMS = "len(__import__('comm').get_comm_manager().comms)"
LIMITS = "print(*figure.axes[0].get_xlim(), *figure.axes[0].get_ylim())"


def write(jupyter: JupyterLab, name: str, *cells: str) -> str:
    return jupyter.write(name, *cells, MAKE, SHOW, SHOW_AGAIN, COMMS, LIMITS)


@pytest.fixture
def interactive(jupyter: JupyterLab, browser: Browser, screenshots: Path) -> Iterator[NotebookPage]:
    page = NotebookPage(browser, write(jupyter, "interactive.ipynb", MAGIC), screenshots)
    page.run(0)
    page.run(1)
    page.run(2)
    yield page
    page.close()


def canvas(page: NotebookPage, cell: int) -> Locator:
    figure = page.output(cell).locator(".jupyter-matplotlib canvas").first
    expect(figure).to_be_visible()
    return figure


def settled(figure: Locator) -> bytes:
    """Wait until it looks the same twice, with nothing pointed at."""
    figure.page.mouse.move(1, 1)
    last = b""
    while (now := figure.screenshot()) != last:
        last = now
        figure.page.wait_for_timeout(700)
    return last


def drag(figure: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag between two places, in parts of its width and height."""
    box = figure.bounding_box()
    assert box is not None
    mouse = figure.page.mouse
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    mouse.move(*places[0])
    mouse.down()
    mouse.move(*places[1], steps=8)
    mouse.up()


def test_a_figure_can_be_zoomed_into_and_back(interactive: NotebookPage) -> None:
    figure = canvas(interactive, 2)
    whole, limits = settled(figure), interactive.run(5)
    interactive.screenshot("figure-whole")
    figure.hover(force=True)
    tools = interactive.output(2).locator(".jupyter-matplotlib-toolbar")
    tools.get_by_title("Zoom to rectangle").click()
    drag(figure, (0.15, 0.3), (0.5, 0.6))
    part = settled(figure)
    interactive.screenshot("figure-zoomed")
    assert part != whole
    assert interactive.run(5) != limits
    figure.hover(force=True)
    tools.get_by_title("Reset original view").click()
    settled(figure)
    interactive.screenshot("figure-back")
    assert interactive.run(5) == limits


def test_a_figure_that_is_shown_again_is_one_widget(interactive: NotebookPage) -> None:
    comms = interactive.run(4)
    for _ in range(3):
        interactive.run(3)
    assert interactive.run(4) == comms
    settled(canvas(interactive, 3))
    interactive.screenshot("figure-twice")


def test_a_notebook_keeps_a_still_picture_beside_the_widget(
    interactive: NotebookPage, jupyter: JupyterLab
) -> None:
    interactive.save()
    saved = nbformat.read(jupyter.directory / "notebooks" / "interactive.ipynb", as_version=4)
    nbformat.validate(saved)
    [output] = saved.cells[2].outputs
    assert sorted(output.data) == ["application/vnd.jupyter.widget-view+json", "image/png", "text/plain"]


def test_without_the_magic_a_figure_is_a_picture(
    jupyter: JupyterLab, browser: Browser, screenshots: Path
) -> None:
    page = NotebookPage(browser, write(jupyter, "still.ipynb"), screenshots)
    page.run(0)
    page.run(1)
    image = page.output(1).locator("img")
    expect(image).to_be_visible()
    assert page.output(1).locator("canvas").count() == 0
    page.screenshot("figure-still")
    page.close()
