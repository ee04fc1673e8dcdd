"""What a node restored from a template is given of its own, in the form that the guest's `awake` takes.

It comes as a fw_cfg item, which QEMU reads out of a private file, and neither its command line nor FAM shows.
Linux remembers an item's size, so the template has an empty one of the same::

    0   8 bytes   MARK; zeros in a template, which waits for it
    8  64 bytes   for the kernel's random generator
    72            a cpio archive of the node's own files, and zeros to the end
"""

from __future__ import annotations

from fame_lab.errors import ApplianceError

__all__ = ["ITEM", "NOBODY", "SEED_SIZE", "personal"]

ITEM = "opt/fame_lab/personal"
"""The item's name; those that begin with opt/ are the user's, by fw_cfg's rules."""

MARK = b"fame_lab"
SEED_SIZE = 64
SIZE = 4096

NOBODY = bytes(SIZE)
"""What a template is given."""


def personal(seed: bytes, archive: bytes) -> bytes:
    """Return a node's own data.

    Parameters
    ----------
    seed : bytes
        64 random bytes, for no other node.
    archive : bytes
        A cpio archive, unpacked at the guest's root.

    Raises
    ------
    ApplianceError
        If the archive is too large.
    """
    if len(seed) != SEED_SIZE:
        raise ValueError(f"a seed has {SEED_SIZE} bytes, not {len(seed)}")
    data = MARK + seed + archive
    if len(data) > SIZE:
        raise ApplianceError(
            f"a node's own files take {len(archive)} bytes, and a restored one has room for "
            f"{SIZE - len(MARK) - SEED_SIZE}: start='cold' has no such limit"
        )
    return data.ljust(SIZE, b"\0")
