"""Check that libvirt's QEMU can open /dev/kvm. If it cannot, the system libvirtd is unusably slow."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

__all__ = ["KVM", "stalls_libvirt"]

KVM = Path("/dev/kvm")


def stalls_libvirt(path: Path = KVM) -> bool:
    """Return whether the system libvirtd would query QEMU anew, for seconds, at each call.

    If its QEMU user cannot open the device, libvirtd takes its knowledge of QEMU for stale every time. A
    domain then takes minutes to create (measured on libvirt 9.0). A session's libvirtd is not affected, nor
    is a host without the device.
    """
    if os.geteuid() != 0:
        return False
    try:
        status = path.stat()
    except OSError:
        return False
    return not status.st_mode & 0o006 and status.st_gid not in _qemu_groups()


def _qemu_groups() -> list[int]:
    """Return the groups of the user that Debian's system libvirtd runs QEMU as; elsewhere the group kvm."""
    try:
        user = pwd.getpwnam("libvirt-qemu")
        return os.getgrouplist(user.pw_name, user.pw_gid)
    except KeyError:
        return [each.gr_gid for each in grp.getgrall() if each.gr_name == "kvm"]
