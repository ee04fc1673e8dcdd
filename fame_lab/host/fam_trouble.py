"""The faults of FAM's file that can stop a node, named for a caller that waits for the node."""

from __future__ import annotations

import os

from fame_lab.core.sizes import KIB, MIB
from fame_lab.host.fam import Fam

__all__ = ["trouble"]


def trouble(fam: Fam) -> str:
    """Return the fault of the file, truncated or without room; nothing if neither is seen.

    Where a page cannot be had, the QEMU of a node that is emulated ends (SIGBUS). Under KVM the node hangs:
    the kernel retries the asynchronous page fault for ever, and nobody learns of it.
    """
    try:
        status, room = fam.path.stat(), os.statvfs(fam.path)
    except OSError:
        return ""  # it was deleted, and each mapping of it still works
    if (status.st_dev, status.st_ino) != fam.identity:
        return ""  # likewise
    if status.st_size < fam.size:
        return (
            f"FAM was truncated: {fam.path} has {status.st_size} bytes instead of {fam.size}, and a node "
            "that touches what is missing ends or hangs; end the lab, and start it anew"
        )
    missing = fam.size - status.st_blocks * 512
    # The pages of hugetlbfs were set aside when QEMU mapped it; one without a limit has no blocks at all.
    if missing <= 0 or not room.f_blocks or room.f_bsize >= MIB or room.f_bavail * room.f_frsize >= 4 * KIB:
        return ""
    return (
        f"no room is left for FAM: {fam.path.parent} is full, and {missing // KIB} KiB of FAM were not "
        "stored to yet; free some, and restart a node that hangs: `fame-lab restart`, or its restart()"
    )
