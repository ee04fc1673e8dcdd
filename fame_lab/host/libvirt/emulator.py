"""Check that libvirt can start a QEMU other than the host's, and name what prevents it."""

from __future__ import annotations

from pathlib import Path

import libvirt

from fame_lab.host import apparmor
from fame_lab.host.libvirt.connection import libvirt_error, qemu_user
from fame_lab.host.libvirt.daemons import uri
from fame_lab.host.qemu import complaints

__all__ = ["check_emulator"]


def check_emulator(connection: libvirt.virConnect, path: Path) -> None:
    """Raise HostError if libvirt cannot start a QEMU that is not the host's own.

    At the first use of a QEMU libvirt queries its capabilities, which takes a second or two.
    """
    try:
        connection.getDomainCapabilities(str(path), "x86_64", "q35", "qemu")
    except libvirt.libvirtError as error:
        words = f"libvirt at {uri()} cannot start {path}: {error}"
        if messages := complaints(path, qemu_user(connection)):
            words += f"; asked what it has, QEMU itself says {messages}"
        elif apparmor.is_on():
            words += f"; {apparmor.way_for(path)}"  # libvirt does not tell what kept it from it
        raise libvirt_error(connection, words) from error
