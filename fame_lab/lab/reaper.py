"""Finish a start or a stop in a process of its own, if the process that began it may be killed.

A notebook's kernel has a few seconds between being told to end and being killed: too few for a lab that is
coming up or going, on a busy host. What is left of it then is taken away by whoever outlives the kernel.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from fame_lab.core.lab_directory import LabDirectory

__all__ = ["clean_up", "delegate_cleanup", "in_progress"]

_lock = threading.Lock()
_under_way: set[LabDirectory] = set()
_ending = False


@contextlib.contextmanager
def in_progress(directory: LabDirectory) -> Iterator[None]:
    """Record that this process starts a lab or takes it away, and holds its directory meanwhile."""
    with _lock:
        _under_way.add(directory)
        if _ending:
            _leave(directory)
    try:
        yield
    finally:
        with _lock:
            _under_way.discard(directory)


def delegate_cleanup() -> None:
    """Delegate the tear-down of what is under way, for when this process lets go of it or dies."""
    global _ending
    with _lock:
        _ending = True
        for directory in _under_way:
            _leave(directory)


def clean_up(name: str, inode: int) -> bool:
    """Take a lab away once nobody holds its directory; say whether there was anything left.

    Parameters
    ----------
    name : str
    inode : int
        Of its directory: another that has come in its place is let be.
    """
    from fame_lab.lab.libvirt_host import LibvirtHost
    from fame_lab.lab.teardown import tear_down

    directory = LabDirectory.of(name)
    with directory.locked() as ours:
        if not ours or directory.path.stat().st_ino != inode:
            return False
        with contextlib.closing(LibvirtHost()) as host:
            return tear_down(host, name)


def _leave(directory: LabDirectory) -> None:
    with contextlib.suppress(FileNotFoundError):  # it has just gone
        inode = directory.path.stat().st_ino
        subprocess.Popen(
            [sys.executable, "-P", "-m", "fame_lab.lab.reaper", directory.name, str(inode)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path("/"),
            start_new_session=True,  # signals to the kernel's group are not for it
        )


if __name__ == "__main__":
    clean_up(sys.argv[1], int(sys.argv[2]))
