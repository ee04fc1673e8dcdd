"""Write the archive format that Linux unpacks as its first root file system: cpio "newc".

The format is described in the kernel's driver-api/early-userspace/buffer-format.rst. Device nodes are plain
headers in it, so a user can write one. PyPI's one live library for it (pycpio) is under the GPL, and
libarchive-c wants a system library; hence these few lines.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Entry", "archive", "device", "directory", "file", "symlink"]

_TRAILER = "TRAILER!!!"
_FIELD_LIMIT = 1 << 32  # a header field is eight hexadecimal digits


@dataclass(frozen=True)
class Entry:
    """One file, directory, link or device in the archive, owned by root.

    Parameters
    ----------
    mode : int
        Type and permission bits, as ``os.stat`` gives them.
    data : bytes
        A file's contents, or a symbolic link's target.
    device : tuple of int
        Major and minor number of a device node.
    """

    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def file(data: bytes, mode: int = 0o644) -> Entry:
    """Return a regular file."""
    return Entry(stat.S_IFREG | mode, data)


def directory(mode: int = 0o755) -> Entry:
    """Return a directory."""
    return Entry(stat.S_IFDIR | mode)


def symlink(target: str) -> Entry:
    """Return a symbolic link to `target`."""
    return Entry(stat.S_IFLNK | 0o777, target.encode())


def device(major: int, minor: int, mode: int = 0o600) -> Entry:
    """Return a character device."""
    return Entry(stat.S_IFCHR | mode, device=(major, minor))


def archive(entries: Mapping[str, Entry]) -> bytes:
    """Return the newc archive of `entries`; the same entries give the same bytes.

    Parameters
    ----------
    entries : mapping of str to Entry
        By path, relative to the root. Missing directories are added, mode 0755. Order does not matter: a
        parent is written before its children.

    Raises
    ------
    ValueError
        For a path that is empty, absolute, or has an empty, ``.`` or ``..`` part, and for contents of 4 GiB
        or more, which the format cannot hold.
    """
    tree = dict(entries)
    for path in entries:
        if path == _TRAILER or any(part in ("", ".", "..") or "\0" in part for part in path.split("/")):
            raise ValueError(f"{path!r} is not a path inside the archive; use one like 'etc/passwd'")
        parent = path.rpartition("/")[0]
        while parent:
            tree.setdefault(parent, directory())
            parent = parent.rpartition("/")[0]

    out = bytearray()
    for number, (path, entry) in enumerate(sorted(tree.items()), start=1):
        if len(entry.data) >= _FIELD_LIMIT:
            raise ValueError(f"{path!r} has {len(entry.data)} bytes; a newc archive holds files below 4 GiB")
        _append(out, path, entry, inode=number)
    _append(out, _TRAILER, Entry(0), inode=0)
    return bytes(out)


def _append(out: bytearray, path: str, entry: Entry, *, inode: int) -> None:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    user = group = modified = check = archive_major = archive_minor = 0
    fields = (inode, entry.mode, user, group, links, modified, len(entry.data), archive_major, archive_minor,
              *entry.device, len(name), check)  # fmt: skip
    out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
    out += bytes(-len(out) % 4)
    out += entry.data
    out += bytes(-len(out) % 4)
