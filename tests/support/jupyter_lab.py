"""A real JupyterLab: on loopback, with a token and settings of its own, and ended with all its kernels."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

_PATIENCE = 60.0

_SETTINGS: dict[str, dict[str, Any]] = {
    # It would ask other hosts for news, and the reader whether it may.
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Cells out of sight are in the page all the same, where a test finds them.
    "notebook-extension/tracker": {"windowingMode": "none"},
}


@dataclass(frozen=True)
class JupyterLab:
    """A server that runs.

    Parameters
    ----------
    directory : Path
        For all that it keeps; its notebooks lie in ``notebooks``.
    url : str
    token : str
    """

    directory: Path
    url: str
    token: str

    def write(self, name: str, *cells: str) -> str:
        """Write a notebook of code cells; return the address at which a browser opens it."""
        content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        (self.directory / "notebooks" / name).write_text(nbformat.writes(content))
        # In a workspace of its own, or the tabs of the page before would be opened as well.
        return f"{self.url}lab/workspaces/{Path(name).stem}/tree/{name}?token={self.token}"

    def set(self, plugin: str, **values: Any) -> None:
        """Change a user's settings of ``@jupyterlab/PLUGIN``; a page that is loaded then has them."""
        path = self.directory / "settings" / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))


@contextlib.contextmanager
def jupyter_lab(directory: Path) -> Iterator[JupyterLab]:
    """Start a server on a free port of 127.0.0.1; end it and its kernels with the block, also after an error.

    Parameters
    ----------
    directory : Path
        An empty one, for notebooks, settings, runtime files and ``jupyter.log``.
    """
    token = secrets.token_hex(16)
    runtime = directory / "runtime"
    for name in ("notebooks", "config", "data", "runtime", "settings", "workspaces", "ipython"):
        (directory / name).mkdir()
    # Nobody's own settings and kernels take part. HOME stays: in it lies a user's guest image.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")} | {
        "JUPYTER_TOKEN": token,  # on the command line anybody could read it
        "JUPYTER_CONFIG_DIR": str(directory / "config"),
        "JUPYTER_DATA_DIR": str(directory / "data"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTERLAB_SETTINGS_DIR": str(directory / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(directory / "workspaces"),
        "IPYTHONDIR": str(directory / "ipython"),
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--LabApp.extension_manager=readonly"),
        "--LabApp.expose_app_in_browser=True",  # the page itself tells when its kernel is there
        *("--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"),
        f"--ServerApp.root_dir={directory / 'notebooks'}",
        *(["--allow-root"] if os.geteuid() == 0 else []),
    ]
    with (directory / "jupyter.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        server = JupyterLab(directory, _url(process, directory), token)
        for plugin, values in _SETTINGS.items():
            server.set(plugin, **values)
        yield server
    finally:
        process.terminate()  # upon which it ends its kernels
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pid in kernels(directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def kernels(directory: Path) -> list[int]:
    """Find the kernels of the server of that directory: their connection files lie in it."""
    mark = os.fsencode(directory / "runtime" / "kernel-")
    pids = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked
            if mark in (entry / "cmdline").read_bytes():
                pids.append(int(entry.name))
    return pids


def _url(process: subprocess.Popen[bytes], directory: Path) -> str:
    """Wait for the server's own file, and return the address in it."""
    record = directory / "runtime" / f"jpserver-{process.pid}.json"
    end = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            return str(json.loads(record.read_text())["url"])
        time.sleep(0.05)
    raise AssertionError(f"JupyterLab does not listen:\n{(directory / 'jupyter.log').read_text()[-3000:]}")
