"""The directory of a session libvirtd's sockets: not every home has a path that is short enough."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from fame_lab.core.lab_directory import SHM
from fame_lab.errors import HostError

__all__ = ["TOO_LONG", "make", "session_cache", "session_runtime", "short_configuration"]

#: The remedy where libvirt's paths are too long all the same.
TOO_LONG = (
    "a libvirtd of yours runs already, with its sockets in your home: end it, so that the next lab starts "
    "one with a shorter path, or set XDG_CONFIG_HOME to a directory with one"
)

#: Bytes of a socket's path on Linux, without the zero at its end.
_MAX_SOCKET_PATH = 107
#: The longest paths of libvirt's in its directory of configuration, where it takes 20 characters of a
#: domain's name, and in its runtime directory.
_IN_CONFIGURATION = f"libvirt/qemu/lib/domain-9999-{'n' * 20}/monitor.sock"
_IN_RUNTIME = "libvirt/virtlogd-admin-sock"


def short_configuration() -> Path | None:
    """Return the directory that libvirtd takes for XDG_CONFIG_HOME; None where the usual one is short."""
    if os.geteuid() == 0:
        return None
    usual = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    is_usual = _has_room(usual, _IN_CONFIGURATION) and _cache_has_room()
    return None if is_usual and not _is_odd(_usual_cache()) else _place()


def session_cache() -> Path:
    """Return the directory that a session's libvirtd takes for XDG_CACHE_HOME, with its logs.

    virtlogd takes no path with a space (libvirt 9.0), and libvirt finds no QEMU if a comma is in it.
    """
    usual = _usual_cache()
    return _place() if _is_odd(usual) and os.geteuid() != 0 else usual


def session_runtime() -> Path | None:
    """Return the directory that a session's daemons take for XDG_RUNTIME_DIR; None where it is the usual one.

    After ``su`` or in a container that variable is not set, and libvirt's sockets are in the cache.
    """
    return None if _cache_has_room() or os.geteuid() == 0 else _place()


def _place() -> Path:
    return SHM / f"fame_lab-{os.geteuid()}.libvirt"


def _usual_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _cache_has_room() -> bool:
    return bool(os.environ.get("XDG_RUNTIME_DIR")) or _has_room(_usual_cache(), _IN_RUNTIME)


def _has_room(directory: Path, longest: str) -> bool:
    return len(os.fsencode(directory / longest)) <= _MAX_SOCKET_PATH and not _is_odd(directory)


def _is_odd(path: Path) -> bool:
    return any(each in str(path) for each in ", :")


def make(path: Path) -> None:
    """Create the directory for this user alone, unless it exists.

    Raises
    ------
    HostError
        If it cannot be made, or is another user's.
    """
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        raise HostError(f"cannot make {path}, for libvirt's sockets: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise HostError(
            f"{path} is another user's, or open to others, and libvirt's sockets of yours would be there",
            hint="remove it, or set XDG_CONFIG_HOME to a directory with a short path",
        )
