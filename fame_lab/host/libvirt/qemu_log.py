"""The log of a domain's QEMU, which libvirt keeps and which goes with the node."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from fame_lab.core.sanitize import plain
from fame_lab.guest.images.base import TEMPLATE
from fame_lab.host.libvirt.domain_xml import domain_name
from fame_lab.host.libvirt.session_directory import session_cache

__all__ = ["path_of", "powered_off", "remove", "remove_of_lab", "tail"]

#: Lines of libvirt's own: dated ones, and the command line with its environment.
_LIBVIRTS = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} |[A-Z_]+=|/usr/bin/qemu|-|char device redirected|.*\\$")

#: When a guest powers off, libvirt notes this reason, and ends QEMU by this signal. If somebody else sends
#: it, libvirt notes the same reason, but QEMU names another sender.
_POWERED_OFF = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} .*: shutting down, reason=shutdown")
_ENDED_BY_LIBVIRT = re.compile(r".*terminating on signal 15 from pid [0-9]+ \((/\S*/)?(libvirtd|virtqemud)\)")


def path_of(name: str) -> Path:
    """Return the path of the log in which libvirt keeps QEMU's output."""
    if os.geteuid() == 0:
        return Path("/var/log/libvirt/qemu") / f"{name}.log"
    return session_cache() / "libvirt/qemu/log" / f"{name}.log"


def tail(name: str, max_bytes: int = 2000) -> str:
    """Return QEMU's last lines in a domain's log, without libvirt's own."""
    lines = _last_lines(name, max_bytes)
    if powered_off(name):
        lines = [line for line in lines if not _ENDED_BY_LIBVIRT.fullmatch(line)]
    own = [line for line in lines if line.startswith("qemu")]
    others = [line for line in lines if line and not _LIBVIRTS.match(line)]
    return "\n".join(map(plain, (own or others)[-5:]))


def powered_off(name: str) -> bool:
    """Return whether a domain ended because its guest was powered off from within."""
    lines = _last_lines(name, 2000)
    return all(any(map(each.fullmatch, lines)) for each in (_POWERED_OFF, _ENDED_BY_LIBVIRT))


def _last_lines(name: str, max_bytes: int) -> list[str]:
    try:
        with path_of(name).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - max_bytes))
            return log.read(max_bytes).decode(errors="replace").splitlines()
    except OSError:
        return []


def remove_of_lab(lab: str) -> None:
    """Delete the logs of a lab's nodes: libvirt may write a last line after a domain has ended."""
    directory = path_of(lab).parent
    for log in directory.glob(f"{domain_name(lab, 'node')}[0-9][0-9].log"):
        remove(log.stem)
    remove(domain_name(lab, TEMPLATE))


def remove(name: str) -> None:
    """Delete the log of a domain of ours, rotated parts included."""
    path = path_of(name)
    for part in path.parent.glob(f"{path.name}*"):
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
