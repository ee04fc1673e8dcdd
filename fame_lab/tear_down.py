"""A lab taken away: whatever there is of it, whoever made it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from fame_lab import lease, network
from fame_lab.directory import LabDirectory
from fame_lab.errors import FameError
from fame_lab.host import domain
from fame_lab.host.record import NodeRecord

if TYPE_CHECKING:
    import libvirt

__all__ = ["record_left", "tear_down"]


def tear_down(connection: libvirt.virConnect, name: str) -> bool:
    """Take a lab away: its domains, its network, FAM if it made it, keys, consoles and logs. Safe to repeat.

    Returns
    -------
    bool
        Whether there was anything.
    """
    directory = LabDirectory.of(name)
    domains = domain.find(connection, name)
    _destroy(domains, name)
    record = domains[0].record if domains else record_left(directory)
    connected = (record is None or record.spec.network != "user") and network.end(connection, name)
    if record is not None:
        lease.give_back(lease.fam_of(record), directory)
    there = bool(domains) or connected or directory.path.exists()
    directory.remove()
    domain.remove_logs(name)
    return there


def record_left(directory: LabDirectory) -> NodeRecord | None:
    """Read what a lab without any node left says of itself."""
    try:
        return NodeRecord.from_xml(directory.record.read_text())
    except OSError:
        return None


def _destroy(domains: list[domain.Domain], lab: str) -> None:
    """End domains together: libvirt waits for each QEMU to be gone."""
    failed: list[FameError] = []

    def destroy(each: domain.Domain) -> None:
        try:
            each.destroy()
        except FameError as error:
            failed.append(error)

    # An executor takes no more work once the interpreter ends, which is when a notebook's kernel is stopped.
    threads = [threading.Thread(target=destroy, args=[each], name=f"end-{lab}") for each in domains]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
