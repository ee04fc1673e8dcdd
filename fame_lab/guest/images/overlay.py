"""Overlays: a qcow2 layer over an image for each node, which keeps the node's writes.

It ends with its lab, but lies in the cache and not with the lab's other files in /dev/shm. FAM is there, and
a guest that fills its disk must not take the room that other nodes' memory needs. Where /dev/shm has no room
for FAM, FAM is on disk too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

from fame_lab.core.cache import own_cache
from fame_lab.core.lab_directory import LabDirectory
from fame_lab.errors import HostError

__all__ = ["disk_directory", "overlay"]

_SECONDS = 60
_making = threading.Lock()


def overlay(directory: LabDirectory, node: str, base: Path) -> Path:
    """Return the node's overlay of `base`, a qcow2 file: the one that it had before, or a new one.

    QEMU's group may write to it.

    Raises
    ------
    HostError
        If it cannot be made.
    """
    path = disk_directory(directory) / f"{node}.qcow2"
    if path.exists():
        return path
    # Formats are given, never guessed from data that a guest or a user has written.
    within = base.is_relative_to(directory.path)
    backing = os.path.relpath(base, path.parent) if within else str(base)  # so that a folder can be moved
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", backing, str(path)]
    try:
        completed = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except FileNotFoundError as error:
        raise HostError("qemu-img is missing: apt-get install qemu-utils, or `make setup`") from error
    if completed.returncode:
        path.unlink(missing_ok=True)
        raise HostError(f"the disk of {node} cannot be made at {path}: {completed.stderr.strip()}")
    directory.grant_to_qemu(path)
    return path


def disk_directory(directory: LabDirectory) -> Path:
    """Return the directory of a lab's files on disk, created if it is missing; it ends with the lab's own.

    Raises
    ------
    HostError
        If it cannot be made.
    """
    with _making:  # a lab's nodes come up in threads of one process
        if directory.disks.is_dir() and not directory.disks.is_symlink():
            return directory.disks  # of an exported lab, which has them in its own folder
        # The cache may be another one when the lab is taken down: a link tells the place.
        if directory.disks.is_symlink():
            return directory.disks.readlink()
        path = own_cache() / "disks" / directory.path.name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.parent.chmod(0o755)
            if path.exists():
                shutil.rmtree(path)  # of a lab of this name that ended with the host
            path.mkdir(mode=0o700)
            directory.grant_to_qemu(path, directory.path.stat().st_mode & 0o770)
            directory.disks.symlink_to(path)
        except OSError as error:
            raise HostError(
                f"cannot make {path}, for what a lab has on disk: {error.strerror}",
                hint="let FAME_LAB_CACHE name a directory of your own",
            ) from error
        return path
