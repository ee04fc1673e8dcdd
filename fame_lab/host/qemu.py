"""The QEMU that nodes run in: the host's own, or another one that lies at a path."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fame_lab.errors import HostError
from fame_lab.host.qemu_user import QemuUser
from fame_lab.quoting import plain, shortened

__all__ = ["HOSTS", "LEAST", "PROGRAM", "Qemu", "dotted", "is_hosts", "of_host", "read"]

PROGRAM = "qemu-system-x86_64"
#: The oldest QEMU that the kit was tried on; numbered as libvirt numbers versions.
LEAST = 7_002_000

#: Where distributions have their own QEMU, and libvirt finds it if a domain names none.
HOSTS = frozenset(
    f"{directory}/{name}"
    for directory in ("/usr/bin", "/bin", "/usr/libexec", "/run/libvirt/nix-emulators")
    for name in (PROGRAM, "qemu-kvm", "kvm", "kvm-spice")
)

#: A program that is no QEMU may hang, or print without an end.
_SECONDS = 10.0
_MOST = 65536
_VERSION = re.compile(rb"^QEMU emulator version ([0-9]{1,3})\.([0-9]{1,3})(?:\.([0-9]{1,3}))?([^\n]*)", re.M)


@dataclass(frozen=True)
class Qemu:
    """One QEMU, as it describes itself.

    Parameters
    ----------
    path : Path
        Its program.
    version : int
        1000000 * major + 1000 * minor + micro, as libvirt numbers versions.
    packaged : str
        What its distributor added to the version, such as ``(Debian 1:10.0.2)``; may be empty.
    """

    path: Path
    version: int
    packaged: str = ""

    def __str__(self) -> str:
        return f"QEMU {dotted(self.version)} at {self.path}"


def dotted(version: int) -> str:
    """Return a version as people write it: 7002022 is 7.2.22."""
    return f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"


def is_hosts(path: str) -> bool:
    """Return whether `path` is where some host has the QEMU that libvirt takes by itself."""
    return path in HOSTS or path == shutil.which(PROGRAM)


def of_host() -> Path:
    """Return the path of the host's own QEMU.

    Raises
    ------
    HostError
        If there is none.
    """
    found = shutil.which(PROGRAM)
    if found is None:
        raise HostError(f"{PROGRAM} is not on this host: `sudo apt-get install qemu-system-x86`")
    return Path(found)


def read(path: Path, user: QemuUser | None = None) -> Qemu:
    """Return what a QEMU says of itself; remembered until its file changes.

    Parameters
    ----------
    path : Path
    user : QemuUser, optional
        Whom it will run as, if not ourselves: the program is run as this user here too.

    Raises
    ------
    HostError
        If it is no QEMU, cannot be run, or is too old.
    """
    try:
        there = path.stat()
    except OSError as error:
        raise HostError(
            f"there is no QEMU at {path} ({error.strerror}): give qemu='auto' for the host's, or another path"
        ) from error
    key = (str(path), there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, user)
    if key not in _known:
        _known[key] = _asked(path, user)
    return _known[key]


_known: dict[object, Qemu] = {}


def _asked(path: Path, user: QemuUser | None) -> Qemu:
    if not path.is_file():
        raise HostError(f"{path} is no program: give the path of {PROGRAM} itself")
    output = _output_of([str(path), "-version"], path, user)
    found = _VERSION.search(output)
    if found is None:
        text = output.decode(errors="replace").strip()
        said = shortened(text, 80) if text else "nothing"
        raise HostError(f"{path} is no QEMU: asked for its -version it prints {said}")
    major, minor, micro = (int(number or 0) for number in found.groups()[:3])
    packaged = plain(found[4].decode(errors="replace").strip()[:120], keep="")
    qemu = Qemu(path, 1_000_000 * major + 1000 * minor + micro, packaged)
    if qemu.version < LEAST:
        raise HostError(f"{qemu} is too old: nodes need {dotted(LEAST)} or newer")
    return qemu


def _output_of(command: list[str], path: Path, user: QemuUser | None) -> bytes:
    """Return the beginning of what a program prints, within a deadline; the program is ended then."""
    credentials: dict[str, Any] = {} if user is None or os.geteuid() != 0 else user.credentials()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            **credentials,
        )
    except OSError as error:
        raise HostError(_cannot_be_run(path, user, error)) from error
    try:
        return _read(process, path)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        process.stdout.close()


def _read(process: subprocess.Popen[bytes], path: Path) -> bytes:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    output, end = b"", time.monotonic() + _SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(output) < _MOST:
            if not selector.select(max(0.0, end - time.monotonic())):
                raise HostError(
                    f"{path} is no QEMU: asked for its -version it did not end in {_SECONDS:.0f} s"
                )
            if not (part := os.read(process.stdout.fileno(), _MOST)):
                break
            output += part
    return output


def _cannot_be_run(path: Path, user: QemuUser | None, error: OSError) -> str:
    if isinstance(error, PermissionError) and user is not None and os.access(path, os.X_OK):
        return (
            f"QEMU runs as user {user.uid}, who may not execute {path}: put it where every user may enter, "
            "as /opt or the cache"
        )
    if isinstance(error, PermissionError):
        return f"{path} may not be executed ({error.strerror}): `chmod +x` it, or give another path"
    return f"{path} cannot be run ({error.strerror}): give the path of {PROGRAM}"
