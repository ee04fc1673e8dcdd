"""An ordinary user's way to a network between nodes: a VDE switch, one unprivileged process a lab.

QEMU offers others without privilege. ``socket,mcast=`` takes no process, but any local user may listen and
inject there. ``stream`` and ``dgram`` join two nodes and no more, so forty would take 780 links. VDE's switch
lies in the lab's private directory, learns the port of each node, and outlives any node.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil

from fame_lab.errors import HostError
from fame_lab.spec.fam_layout import MAX_NODES

__all__ = ["end", "processes", "start"]

PROGRAM = "vde_switch"
_DEADLINE = 10.0


def start(socket: Path) -> None:
    """Start a switch; it runs until :func:`end`.

    Parameters
    ----------
    socket : Path
        Directory that it makes for its sockets, in a directory that nobody else may enter.

    Raises
    ------
    HostError
        If it is missing, or does not start.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise HostError(
            f"{PROGRAM}, by which an ordinary user's nodes reach each other, is missing: "
            "apt-get install vde2, or run `make setup`; network='user' does without"
        )
    try:
        # It returns once nodes can connect. It reads no file of commands, neither the user's nor the host's.
        subprocess.run(
            [program, "-s", str(socket), "-m", "0600", "-n", str(MAX_NODES), "-f", os.devnull, "-d"],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_DEADLINE,
            check=True,
            start_new_session=True,
        )
    except subprocess.CalledProcessError as error:
        stderr = error.stderr.decode(errors="replace").strip()[-300:]
        raise HostError(f"{program} ends with status {error.returncode}: {stderr}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"{program} does not start: {error}") from error


def end(socket: Path) -> None:
    """End the switch that has its sockets in `socket`; nothing if there is none."""
    for process in processes(socket):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()  # its files are in the lab's directory, and are removed with it
            process.wait(_DEADLINE)


def processes(socket: Path) -> Iterator[psutil.Process]:
    """Yield the switch's processes, which its arguments identify without a file of their ids."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_ours = process.uids().effective == os.geteuid()
            if process.name() == PROGRAM and str(socket) in process.cmdline() and is_ours:
                yield process
