"""What a lab could leave behind: looked for where it would be, without asking the kit."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from fame_lab.directory import cache_directory
from fame_lab.host import domain
from fame_lab.host.connection import connect


def leftovers(name: str) -> list[str]:
    """List what is there of the lab `name`: domains, processes, files, logs, threads."""
    connection = connect()
    try:
        found = [
            f"domain {handle.name()}"
            for handle in connection.listAllDomains()
            if f"-{name}-" in handle.name()
        ]
    finally:
        connection.close()
    found += [f"process {pid}" for pid in qemu_processes(name)]
    found += [str(path) for path in Path("/dev/shm").glob(f"fame_lab-*-{name}")]  # noqa: S108
    found += [str(path) for path in (cache_directory() / "disks").glob(f"fame_lab-*-{name}")]
    found += [str(path) for path in domain.log_path("x").parent.glob(f"fame-{name}-*")]
    found += [f"thread {thread.name}" for thread in threading.enumerate() if name in thread.name]
    return found


def qemu_processes(name: str) -> list[int]:
    """Find the QEMU processes of the lab `name` in /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it ended while we looked
        if words[0].endswith(b"qemu-system-x86_64") and any(
            f"=fame-{name}-".encode() in word for word in words
        ):
            found.append(int(entry.name))
    return found
