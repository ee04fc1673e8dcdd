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
    """Return FAM's path, which its lab's end takes away; a warning says so if it is on disk.

    /dev/shm is memory, and what FAM is to be. A container's is often of 64 MiB, though, and a node that
    stores more than that ends, or hangs under KVM: then a file on disk is the better one, if the disk has
    room for it.

    Raises
    ------
    HostError
        If it is to be on disk, and its directory cannot be made.
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
    """Return for the manifest where FAM lies and why, in words that name no path of this host's."""
    if spec.fam_path is not None:
        return {"place": "fam_path", "reason": "asked for"}
    if fam.path == directory.fam:
        return {"place": str(SHM), "reason": "by default"}
    return {"place": "disk", "reason": f"{SHM} had no room for {format_size(fam.size)}"}


def free_bytes(place: Path) -> int:
    """Return the bytes that are free where a directory is, or where it would be made."""
    while not place.exists() and place != place.parent:
        place = place.parent
    there = os.statvfs(place)
    return there.f_bavail * there.f_frsize
