"""A start that its process cannot clean up after any more, left to a process of its own.

A notebook's kernel has a few seconds between being told to end and being killed: too few for a lab that is
coming up, on a busy host. What it began is taken away by whoever outlives it.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
from pathlib import Path

from fame_lab.directory import LabDirectory
from fame_lab.host.connection import connect
from fame_lab.hosting import starting
from fame_lab.tear_down import tear_down

__all__ = ["hand_over", "take_over"]

log = logging.getLogger(__name__)


def hand_over() -> None:
    """Have all labs that this process is starting taken away once it lets go of them, or dies."""
    for directory in starting():
        with contextlib.suppress(FileNotFoundError):  # this process has just cleaned up itself
            inode = directory.path.stat().st_ino
            subprocess.Popen(
                [sys.executable, "-P", "-m", "fame_lab.handover", directory.name, str(inode)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=Path("/"),
                start_new_session=True,  # signals to the kernel's group are not for it
            )


def take_over(name: str, inode: int) -> bool:
    """Take a lab away once nobody holds its directory; say whether there was anything left.

    Parameters
    ----------
    name : str
    inode : int
        Of its directory: another that has come in its place is let be.
    """
    directory = LabDirectory.of(name)
    with directory.held() as ours:
        if not ours or directory.path.stat().st_ino != inode:
            return False
        connection = connect()
        try:
            return tear_down(connection, name)
        finally:
            connection.close()


if __name__ == "__main__":
    take_over(sys.argv[1], int(sys.argv[2]))
