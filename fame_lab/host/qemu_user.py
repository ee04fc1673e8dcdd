"""The user that libvirt runs QEMU as, and what that user may do."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from typing import Any

__all__ = ["QemuUser", "run_as"]


@dataclass(frozen=True)
class QemuUser:
    """The user that QEMU runs as, where that is another: libvirt's own user under the system daemon."""

    uid: int
    gid: int

    def groups(self) -> list[int]:
        """List its groups as libvirt gives them to QEMU: Debian has kvm as its primary one."""
        try:
            entry = pwd.getpwuid(self.uid)
        except KeyError:
            return [self.gid]
        return sorted({self.gid, *os.getgrouplist(entry.pw_name, entry.pw_gid)})

    def credentials(self) -> dict[str, Any]:
        """Return the arguments of :class:`subprocess.Popen` that run a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": self.groups()}


def run_as(user: QemuUser | None) -> dict[str, Any]:
    """Return the arguments of :class:`subprocess.Popen` that run a program as `user`, where root can."""
    return {} if user is None or os.geteuid() != 0 else user.credentials()
