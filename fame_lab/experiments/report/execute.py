"""Executes a notebook's cells: in a kernel of this Python, without a display, and nothing left running."""

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

from fame_lab.core.jobs.progress import current
from fame_lab.core.jobs.signals import deferred
from fame_lab.core.kernel_env import RUN_VARIABLE
from fame_lab.errors import HostError, ReportError
from fame_lab.lab.lab import Lab
from fame_lab.results.capture import DATA_VARIABLE, CapturedResults

__all__ = ["execute"]

log = logging.getLogger(__name__)

#: How long a kernel that was interrupted may take to put away what it had begun, in seconds.
_GRACE = 30.0


def execute(
    content: nbformat.NotebookNode,
    directory: Path,
    cell_deadline: float,
    tell: Callable[[str], None],
    kept: CapturedResults,
) -> None:
    """Run each cell, and end whatever labs the kernel leaves, however it ends.

    papermill's own runner is not used. It is nbclient too, and leaves out what is done here: a kernel that
    nobody else can speak to, labs that end with it, cells that are interrupted to put away what they began.

    Parameters
    ----------
    content : NotebookNode
        Its cells are given their outputs.
    directory : path
        Where the kernel runs.
    cell_deadline : float
        Seconds that one cell may take.
    tell : callable
        Told which cell runs.
    kept : CapturedResults
        What the cells measure is kept there, and asked after each of them.

    Raises
    ------
    ReportError
        If a cell failed, took too long or ended the kernel; it says which. Those after it did not run.
    HostError
        If the kernel cannot be run at all.
    """
    run = secrets.token_hex(16)
    environment = os.environ | {
        RUN_VARIABLE: run,
        DATA_VARIABLE: str(kept.place),
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
                _execute_cells(client, kernel, words, tell, kept)
        except OSError as error:
            raise HostError(f"the notebook's kernel cannot be run by {sys.executable}: {error}") from error
        finally:
            with deferred(threading.Event()):
                _end_labs(run, tell)


def _execute_cells(
    client: NotebookClient,
    kernel: AsyncKernelManager,
    words: IO[bytes],
    tell: Callable[[str], None],
    kept: CapturedResults,
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
        finally:
            kept.look(index + 1)
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


class _ThisPython(KernelSpecManager):
    """The kernel is the Python that runs here, whatever kernels have been registered on this machine."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")
