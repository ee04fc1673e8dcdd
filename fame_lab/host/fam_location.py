"""The default place of FAM's file: with the lab in /dev/shm, or on disk if there is no room."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from fame_lab.core.cache import own_cache
from fame_lab.core.lab_directory import LAB_BYTES, SHM, LabDirectory
from fame_lab.core.sizes import format_size
from fame_lab.guest.images import overlay
from fame_lab.host.fam import Fam
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["choose", "describe", "free_bytes"]

log = logging.getLogger(__name__)


def choose(spec: LabSpec, directory: LabDirectory) -> Path:
    """Return FAM's path, which ends with its lab; log a warning if it is on disk.

    /dev/shm is memory, as FAM should be. A container's often has only 64 MiB, though, and a node that stores
    more than that ends, or hangs under KVM. Then a file on disk is better, if the disk has room for it.

    Raises
    ------
    HostError
        If it has to be on disk, and its directory cannot be made.
    """
    free = free_bytes(directory.path)
    on_disk = free_bytes(own_cache())
    if spec.fam_size + LAB_BYTES <= free or on_disk <= free:
        return directory.fam
    path = overlay.disk_directory(directory) / directory.fam.name
    log.warning(
        "%s has %s MiB free, too little for FAM of %s: FAM is a file on disk, %s: as "
        "well shared, but now and then what nodes store is written out, which takes time",
        SHM, free >> 20, format_size(spec.fam_size), path,
    )  # fmt: skip
    return path


def describe(spec: LabSpec, fam: Fam, directory: LabDirectory) -> dict[str, str]:
    """Return FAM's place and the reason for it, for the manifest; they name no path of this host's."""
    if spec.fam_path is not None:
        return {"place": "fam_path", "reason": "asked for"}
    if fam.path == directory.fam:
        return {"place": str(SHM), "reason": "by default"}
    return {"place": "disk", "reason": f"{SHM} had no room for {format_size(fam.size)}"}


def free_bytes(path: Path) -> int:
    """Return the free bytes of a directory's file system; the directory need not exist yet."""
    while not path.exists() and path != path.parent:
        path = path.parent
    filesystem = os.statvfs(path)
    return filesystem.f_bavail * filesystem.f_frsize
