"""All that a lab could leave behind: looked for in its places, without asking the kit."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from fame_lab.core.cache import cache_directory
from fame_lab.host.libvirt import qemu_log
from fame_lab.host.libvirt.connection import connect


def leftovers(name: str) -> list[str]:
    """List all that is there of the lab `name`: domains, networks, processes, files, logs, threads."""
    connection = connect()
    try:
        remains = [
            f"domain {handle.name()}"
            for handle in connection.listAllDomains()
            if f"-{name}-" in handle.name()
        ]
        if os.geteuid() == 0:
            remains += [
                f"network {net.name()}"
                for net in connection.listAllNetworks()
                if net.name() == f"fame-{name}"
            ]
    finally:
        connection.close()
    remains += [f"process {pid}" for pid in qemu_processes(name)]
    remains += [f"process {pid}" for pid in network_processes(name)]
    for place in ("/sys/class/net", "/run/libvirt/network", "/var/lib/libvirt/dnsmasq"):
        remains += [str(path) for pattern in ("", ".*") for path in Path(place).glob(f"fame-{name}{pattern}")]
    remains += [str(path) for path in Path("/dev/shm").glob(f"fame_lab-*-{name}")]  # noqa: S108
    remains += [str(path) for path in (cache_directory() / "disks").glob(f"fame_lab-*-{name}")]
    remains += [str(path) for path in qemu_log.path_of("x").parent.glob(f"fame-{name}-*")]
    remains += [f"thread {thread.name}" for thread in threading.enumerate() if name in thread.name]
    return remains


def qemu_processes(name: str) -> list[int]:
    """Find the QEMU processes of the lab `name`."""
    return [
        pid
        for pid, words in _processes()
        if words[0].endswith(b"qemu-system-x86_64")
        and any(f"=fame-{name}-".encode() in word for word in words)
    ]


def network_processes(name: str) -> list[int]:
    """Find the servers and switches of the lab `name`."""
    programs = {b"dnsmasq": f"/fame-{name}.conf".encode(), b"vde_switch": f"-{name}/switch".encode()}
    return [
        pid
        for pid, words in _processes()
        if (sign := programs.get(words[0].rpartition(b"/")[2])) and any(word.endswith(sign) for word in words)
    ]


def _processes() -> Iterator[tuple[int, list[bytes]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):  # it ended while we looked
                yield int(entry.name), (entry / "cmdline").read_bytes().split(b"\0")


def processor_seconds(pid: int) -> float:
    """Return the seconds of processor time that a process has taken so far."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
