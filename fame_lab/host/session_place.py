"""Where a session's libvirtd keeps its sockets: not every home has a path that will do."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from fame_lab.directory import SHM
from fame_lab.errors import HostError

__all__ = ["TOO_LONG", "make", "session_cache", "short_configuration"]

#: Said where libvirt finds no room all the same.
TOO_LONG = (
    "a libvirtd of yours runs already, with its sockets in your home: end it, so that the next lab starts "
    "one with a shorter path, or set XDG_CONFIG_HOME to a directory with one"
)

#: Bytes of a socket's path on Linux, without the zero at its end.
_MOST = 107
#: What libvirt puts behind the configuration's directory; of a domain's name it takes 20 characters.
_LONGEST = f"libvirt/qemu/lib/domain-9999-{'n' * 20}/monitor.sock"


def short_configuration() -> Path | None:
    """Return the directory that libvirtd takes for XDG_CONFIG_HOME; None where the usual one is short."""
    if os.geteuid() == 0:
        return None
    usual = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    if len(os.fsencode(usual / _LONGEST)) <= _MOST and not _is_odd(usual):
        return None
    return SHM / f"fame_lab-{os.geteuid()}.libvirt"


def session_cache() -> Path:
    """Return the directory that a session's libvirtd takes for XDG_CACHE_HOME, where its logs are.

    virtlogd takes no path with a space (libvirt 9.0), and libvirt finds no QEMU if a comma is in it.
    """
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    # Without a runtime directory its sockets are there too, and libvirt's client looks for them there.
    short = short_configuration() if os.environ.get("XDG_RUNTIME_DIR") and _is_odd(usual) else None
    return usual if short is None else short


def _is_odd(path: Path) -> bool:
    return any(each in str(path) for each in ", :")


def make(path: Path) -> None:
    """Make the directory for this user alone, unless it is there.

    Raises
    ------
    HostError
        If it cannot be made, or is somebody else's.
    """
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        there = path.lstat()
    except OSError as error:
        raise HostError(f"cannot make {path}, for libvirt's sockets: {error.strerror}") from error
    if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.geteuid() or there.st_mode & 0o077:
        raise HostError(
            f"{path} is another user's, or open to others, and libvirt's sockets of yours would be there: "
            "remove it, or set XDG_CONFIG_HOME to a directory with a short path"
        )
