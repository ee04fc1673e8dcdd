"""A notebook in a real browser, used as a person uses it: by its cells, its keys and the picture."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

# Nodes that are emulated take what the processor has: waiting is for as long as anything may take.
_PATIENCE_MS = 120_000

_KERNEL = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"

_FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-proxy-server",
    # It has no business with any other host, whatever it would like to fetch.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@contextlib.contextmanager
def chromium(home: Path) -> Iterator[Browser]:
    """Start Debian's Chromium, out of sight, with its files in `home`; it ends with the block."""
    program = shutil.which("chromium")
    assert program, "there is no chromium here: `make test` installs it (elsewhere than on Debian: do so)"
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=_FLAGS, env={**os.environ, "HOME": str(home)}
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass(frozen=True)
class Memory:
    """The content of a page, once its garbage is collected."""

    nodes: int
    bytes: int


class NotebookPage:
    """A notebook that is open and has its kernel.

    Parameters
    ----------
    browser : Browser
    address : str
        As :meth:`jupyter_lab.JupyterLab.write` gives it.
    pictures : Path
        Directory for screenshots.
    """

    def __init__(self, browser: Browser, address: str, pictures: Path) -> None:
        self.page: Page = browser.new_page(viewport={"width": 1280, "height": 900})
        self.page.set_default_timeout(_PATIENCE_MS)
        self._pictures = pictures
        self._notebook = self.page.locator(".jp-Notebook")
        self.page.goto(address)
        self.wait_for_kernel()

    def close(self) -> None:
        """Close it; its kernel goes on."""
        self.page.close()

    def save(self) -> None:
        """Save it, and wait until it is saved."""
        self.page.keyboard.press("Control+s")
        expect(self.page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(0)

    def reload(self) -> None:
        """Load the page anew."""
        self.page.reload()
        self.wait_for_kernel()

    def wait_for_kernel(self) -> None:
        """Wait until the kernel is there and has nothing to do."""
        # What the page shows says "idle" before there is a kernel, too.
        self.page.wait_for_function(f"{_KERNEL}?.status === 'idle'")

    def restart_kernel(self) -> None:
        """Restart it, as by the toolbar's button, and wait until it is there again."""
        hear = f"{_KERNEL}.statusChanged.connect((_, now) => window.states.push(now))"
        self.page.evaluate(f"() => {{ window.states = []; {hear} }}")
        self.page.get_by_role("button", name="Restart the kernel", exact=True).click()
        self.page.locator(".jp-Dialog").get_by_role("button", name="Confirm").click()
        self.page.wait_for_function("window.states.includes('restarting')")
        self.wait_for_kernel()

    def cell(self, number: int) -> Locator:
        """Find a cell, counted from 0."""
        return self._notebook.locator(".jp-Cell").nth(number)

    def output(self, number: int) -> Locator:
        """Find the output below a cell."""
        return self.cell(number).locator(".jp-OutputArea-output")

    def run(self, number: int) -> str:
        """Run a cell, wait for its end, and return the text below it.

        Raises
        ------
        AssertionError
            If it fails, with what it says.
        """
        prompt = self.cell(number).locator(".jp-InputPrompt")
        before = prompt.inner_text()
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        expect(prompt).not_to_have_text(before)
        expect(prompt).to_have_text(re.compile(r"\[\d+\]"))
        failed = self.output(number).locator("[data-mime-type='application/vnd.jupyter.error']")
        assert failed.count() == 0, failed.first.inner_text()
        return "\n".join(self.output(number).all_inner_texts())

    def memory(self) -> Memory:
        """Count the objects that the page holds."""
        session = self.page.context.new_cdp_session(self.page)
        try:
            session.send("HeapProfiler.collectGarbage")
            dom = session.send("Memory.getDOMCounters")
            heap = session.send("Runtime.getHeapUsage")
        finally:
            session.detach()
        return Memory(int(dom["nodes"]), int(heap["usedSize"] + heap["backingStorageSize"]))

    def screenshot(self, name: str) -> None:
        """Write a picture of the page as ``NAME.png``."""
        self.page.screenshot(path=self._pictures / f"{name}.png")
