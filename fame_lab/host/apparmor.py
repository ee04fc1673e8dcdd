"""AppArmor, where a host has it: the programs that its profile lets libvirt's daemon start."""

from __future__ import annotations

from pathlib import Path

__all__ = ["is_on", "way_for"]

_ENABLED = Path("/sys/module/apparmor/parameters/enabled")
#: Debian's and Ubuntu's profile of libvirtd includes this file for a host's own rules.
_LOCAL = "/etc/apparmor.d/local/usr.sbin.libvirtd"


def is_on(path: Path = _ENABLED) -> bool:
    """Return whether the kernel enforces AppArmor's profiles."""
    try:
        return path.read_text().strip() == "Y"
    except OSError:
        return False


def way_for(program: Path) -> str:
    """Return root's command that lets libvirt's daemon start a program outside /usr."""
    # PUx: under the program's own profile if it has one, else under none, as /usr/bin/* is in that profile.
    rule = f'"{program}" PUx,'
    return (
        "AppArmor's profile lets libvirtd start only what lies in /usr. To allow this program too, as root: "
        f"echo '{rule}' >>{_LOCAL}; apparmor_parser -r /etc/apparmor.d/usr.sbin.libvirtd"
    )
