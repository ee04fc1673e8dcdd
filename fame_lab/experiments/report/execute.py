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
    captured: CapturedResults,
) -> None:
    """Run each cell, and end whatever labs the kernel leaves, however it ends.

    papermill's own runner is not used. It is nbclient too, and lacks three things: a kernel that nobody else
    can reach, labs that end with the kernel, and an interrupt that lets a cell clean up.

    Parameters
    ----------
    content : NotebookNode
        Its cells get their outputs.
    directory : path
        Where the kernel runs.
    cell_deadline : float
        Seconds that one cell may take.
    tell : callable
        Called with the cell that runs.
    captured : CapturedResults
        Where the results of the cells are kept; looked through after each cell.

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
        DATA_VARIABLE: str(captured.place),
        # With Agg, the usual setting without a display, a report would have no plots.
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
                _execute_cells(client, kernel, words, tell, captured)
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
    captured: CapturedResults,
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
            output = words.read().decode(errors="replace").strip()[-500:]
            raise ReportError(f"{where} ended the kernel{': ' * bool(output)}{output}") from error
        except (KeyboardInterrupt, SystemExit):
            # The cell cleans up by itself, as after Ctrl-C.
            _interrupt(kernel)
            run_sync(_wait_no_more)()
            raise
        finally:
            captured.look(index + 1)
        current().step()


def _interrupt(kernel: AsyncKernelManager) -> None:
    run_sync(kernel.interrupt_kernel)()


async def _wait_no_more() -> None:
    """Cancel all that waits for the kernel: asyncio would print the error that its end brings."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _end_labs(run: str, tell: Callable[[str], None]) -> None:
    try:
        for entry in Lab.list():
            if entry.run == run:
                tell(f"ending lab {entry.name}, which the notebook left running")
                entry.end()
    except HostError as error:
        # The outcome of the notebook itself matters more, and is raised next.
        log.warning("cannot tell whether the notebook left a lab running: %s", error)


class _ThisPython(KernelSpecManager):
    """The kernel is the Python that runs here, whatever kernels have been registered on this machine."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")
