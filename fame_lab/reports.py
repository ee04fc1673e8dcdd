"""A notebook in, one self-contained HTML page out: executed without a display, and nothing left running."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbclient.util import run_sync
from nbconvert.exporters import HTMLExporter

from fame_lab.errors import HostError, ReportError, SpecError
from fame_lab.lab import Lab
from fame_lab.notebook import RUN_VARIABLE
from fame_lab.progress import current, job
from fame_lab.signals import deferred

__all__ = ["report"]

log = logging.getLogger(__name__)

CELL_DEADLINE = 900.0
#: How long a kernel that was interrupted may take to put away what it had begun, in seconds.
_GRACE = 30.0

# The page asks no other host for anything: a browser is told to refuse it, scripts included. What comes
# from a guest is data, and stays so in the page.
_TEMPLATE = """\
{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block extra_css %}
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:">
<style>
main { max-width: 1040px; margin: auto }
.fame-stopped { border: 2px solid #dc4545; padding: .8em }
</style>
{% endblock %}
{% block data_png scoped %}
<div class="jp-RenderedImage jp-OutputArea-output {{ extra_class }}">
<img alt="Picture that {{ (cell.source.strip().splitlines() or [''])[-1] | e }} shows"
 src="data:image/png;base64,{{ output.data['image/png'] | e }}">
</div>
{% endblock %}
{% block body_header %}
{{ super() }}
{% if resources.stopped %}<p class="fame-stopped"><strong>{{ resources.stopped | e }}</strong></p>{% endif %}
{% endblock %}
"""


def report(
    notebook: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    cell_deadline: float = CELL_DEADLINE,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Execute a notebook and write what it showed as one HTML page.

    The kernel is this Python. Labs that the notebook leaves running end with the run, however it ends.

    Parameters
    ----------
    notebook : path
        It is read, and not changed.
    output : path
        Directory for NAME.html, and beside it the executed NAME.ipynb; made if it is not there.
    cell_deadline : float
        Seconds that one cell may take.
    progress : callable, optional
        Told in a few words what goes on, instead of a bar over the cells.

    Returns
    -------
    Path
        The page. It refers to no other file and no other host.

    Raises
    ------
    SpecError
        If there is no such notebook, or the output would overwrite it.
    ReportError
        If a cell failed or took too long. The page is written all the same, and shows where.
    """
    source, page, executed = _paths(Path(notebook), Path(output))
    content = _read(source)
    stopped = ""
    try:
        with job(source.name, total=len(content.cells), unit="cell", shown=progress is None) as running:

            def tell(words: str) -> None:
                running.tell(words)
                if progress is not None:
                    progress(words)

            _execute(content, source.parent, cell_deadline, tell)
    except ReportError as error:
        stopped = str(error)
    _write(executed, nbformat.writes(content))
    _write(page, _page(content, source, stopped))
    if stopped:
        raise ReportError(f"{source}: {stopped}; the report up to there is {page}")
    return page


def _paths(source: Path, output: Path) -> tuple[Path, Path, Path]:
    source, output = source.resolve(), output.resolve()
    if not source.is_file():
        raise SpecError(f"there is no notebook {source}: give the path of an .ipynb file")
    if output == source.parent:
        raise SpecError(f"output is {output}, where the notebook itself lies: give another directory")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError(
            f"output is {output}, which cannot be made: {error.strerror}; give another"
        ) from error
    return source, output / f"{source.stem}.html", output / f"{source.stem}.ipynb"


def _read(source: Path) -> nbformat.NotebookNode:
    try:
        content: nbformat.NotebookNode = nbformat.read(source, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError) as error:
        raise SpecError(f"{source} is not a notebook: {str(error).splitlines()[0]}") from error
    return content


def _execute(
    content: nbformat.NotebookNode, directory: Path, cell_deadline: float, tell: Callable[[str], None]
) -> None:
    """Run each cell, and end whatever labs the kernel leaves, however it ends."""
    run = secrets.token_hex(16)
    environment = os.environ | {
        RUN_VARIABLE: run,
        # Set to Agg, as it is on many a machine without a display, it would give a report without plots.
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    # Sockets in a directory of our own, and no ports: nobody else on this host can speak to the kernel.
    with (
        tempfile.TemporaryDirectory(prefix="fame_lab-") as sockets,
        tempfile.TemporaryFile() as words,  # what the kernel itself says, of interest only if it dies
    ):
        kernel = AsyncKernelManager(
            kernel_name="python3",
            kernel_spec_manager=_ThisPython(),
            transport="ipc",
            connection_file=f"{sockets}/kernel.json",
            shutdown_wait_time=_GRACE,
        )
        client = NotebookClient(
            content, km=kernel, timeout=cell_deadline, store_widget_state=False, coalesce_streams=True
        )
        try:
            with client.setup_kernel(
                env=environment, cwd=str(directory), stdout=words, stderr=words, cleanup_kc=True
            ):
                _execute_cells(client, kernel, words, tell)
        finally:
            with deferred(threading.Event()):
                _end_labs(run, tell)


def _execute_cells(
    client: NotebookClient, kernel: AsyncKernelManager, words: IO[bytes], tell: Callable[[str], None]
) -> None:
    cells = client.nb.cells
    for index, cell in enumerate(cells):
        where = f"cell {index + 1} of {len(cells)}"
        if cell.cell_type == "code":
            first = next(iter(cell.source.strip().splitlines()), "")
            tell(f"{where}: {first[:70]}")
        try:
            client.execute_cell(cell, index)
        except CellExecutionError as error:
            raise ReportError(f"{where} failed with {error.ename}: {error.evalue}") from error
        except CellTimeoutError as error:
            _interrupt(kernel)
            raise ReportError(f"{where} took more than {client.timeout:g} s") from error
        except DeadKernelError as error:
            words.seek(0)
            said = words.read().decode(errors="replace").strip()[-500:]
            raise ReportError(f"{where} ended the kernel{': ' * bool(said)}{said}") from error
        except (KeyboardInterrupt, SystemExit):
            # What the cell had begun is put away by the cell itself, as if Ctrl-C had been pressed in it.
            _interrupt(kernel)
            run_sync(_wait_no_more)()
            raise
        current().step()


def _interrupt(kernel: AsyncKernelManager) -> None:
    run_sync(kernel.interrupt_kernel)()


async def _wait_no_more() -> None:
    """Call off what waits for the kernel: its end would be an error that nobody asks for, and is printed."""
    waiting = asyncio.all_tasks() - {asyncio.current_task()}
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def _end_labs(run: str, tell: Callable[[str], None]) -> None:
    try:
        for entry in Lab.list():
            if entry.run == run:
                tell(f"ending lab {entry.name}, which the notebook left running")
                entry.end()
    except HostError as error:
        # What the notebook itself came to is still to be told.
        log.warning("cannot tell whether the notebook left a lab running: %s", error)


def _page(content: nbformat.NotebookNode, source: Path, stopped: str) -> str:
    exporter = HTMLExporter(raw_template=_TEMPLATE, embed_images=True, exclude_anchor_links=True)
    # Widgets and scripts need a script from elsewhere to be shown; each has something plainer beside it.
    exporter.config.NbConvertBase.display_data_priority = [
        "text/html",
        "text/markdown",
        "image/svg+xml",
        "image/png",
        "image/jpeg",
        "text/latex",
        "text/plain",
    ]
    resources = {"metadata": {"name": source.stem, "path": str(source.parent)}, "stopped": stopped}
    html, _ = exporter.from_notebook_node(content, resources)
    return str(html)


def _write(path: Path, text: str) -> None:
    """Replace the file at once: who looks sees the old one or the new one, never a half."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise HostError(
            f"cannot write {path}: {error.strerror}; make room, or give another output"
        ) from error


class _ThisPython(KernelSpecManager):
    """The kernel is the Python that runs here, whatever kernels have been registered on this machine."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")
