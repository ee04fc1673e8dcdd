"""Permissions of FAM's file: QEMU's user gets what it needs, and no more."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from fame_lab.errors import HostError
from fame_lab.host.qemu_user import QemuUser

__all__ = ["can_open", "check_readable", "check_writable", "grant", "restore"]


def grant(path: Path, user: QemuUser, saved: Path) -> None:
    """Grant QEMU's user reading and writing of an existing file, by an entry in its access list.

    Parameters
    ----------
    path : Path
    user : QemuUser
    saved : Path
        The file that keeps the former access list, for :func:`restore`; not written without a change.

    Raises
    ------
    HostError
        If access cannot be granted, or a directory above keeps that user out.
    """
    if _can(user, "-w", path):
        return
    before = _acl("getfacl", "--absolute-names", "--numeric", str(path))
    saved.write_text(before)
    saved.chmod(0o600)
    _acl("setfacl", "--modify", f"u:{user.uid}:rw", str(path))
    try:
        check_writable(path, user)
    except HostError:
        restore(saved)
        raise


def restore(saved: Path) -> None:
    """Restore the former access list of a file; nothing if it was not changed."""
    if saved.exists():
        _acl("setfacl", f"--restore={saved}")
        saved.unlink()


def check_writable(path: Path, user: QemuUser) -> None:
    """Raise HostError if QEMU's user cannot read and write a file that it owns."""
    if not _can(user, "-w", path):
        raise HostError(
            f"QEMU runs as user {user.uid} and cannot reach {path}: a directory above it keeps that user out",
            hint=f"give a fam_path elsewhere, or `setfacl -m u:{user.uid}:x` to the directories",
        )


def check_readable(paths: Iterable[Path], user: QemuUser) -> None:
    """Raise HostError if QEMU's user cannot read one of `paths`."""
    for path in paths:
        if not _can(user, "-r", path):
            raise HostError(
                f"QEMU runs as user {user.uid} and cannot read {path}",
                hint=(
                    "put it where every user may read it; "
                    "for what lies in the cache, set FAME_LAB_CACHE to a directory that every user may enter"
                ),
            )


def can_open(path: Path, user: QemuUser | None) -> bool:
    """Return whether QEMU's user can read and write a file; without one, whether we can."""
    if user is None or os.geteuid() != 0:
        return os.access(path, os.R_OK | os.W_OK)
    return _can(user, "-r", path) and _can(user, "-w", path)


def _can(user: QemuUser, test: str, path: Path) -> bool:
    """Return the result of `test` as that user: only the kernel combines modes, access lists and mounts."""
    completed = subprocess.run(["test", test, str(path)], cwd="/", check=False, **user.credentials())
    return completed.returncode == 0


def _acl(*command: str) -> str:
    try:
        completed = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd="/", env=os.environ | {"LC_ALL": "C"}
        )
    except FileNotFoundError as error:
        raise HostError(
            f"{command[0]} is missing", hint="install the package acl, or run `make setup`"
        ) from error
    if completed.returncode != 0:
        raise HostError(
            f"{' '.join(command)} fails: {completed.stderr.strip()}; QEMU's user needs to get at the FAM file"
        )
    return completed.stdout
