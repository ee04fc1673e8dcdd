"""Remove a lab: all that there is of it, whoever started it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.errors import FameError
from fame_lab.host.libvirt.metadata import NodeRecord, TemplateRecord
from fame_lab.lab import fam_allocation, ownership

if TYPE_CHECKING:
    from fame_lab.host.libvirt.domain import Domain
    from fame_lab.lab.host import Host

__all__ = ["record_left", "tear_down"]


def tear_down(host: Host, name: str) -> bool:
    """Take a lab away: its domains, its network, FAM if it made it, keys, consoles and logs. Safe to repeat.

    Returns
    -------
    bool
        Whether there was anything.
    """
    directory = LabDirectory.of(name)
    # If this process dies before the end, the next clean-up of orphans goes on.
    ownership.mark_orphaned(directory)
    record = record_left(directory)
    exists = directory.path.exists()
    # Repeated: libvirt may still be creating a domain that a killed start requested.
    while domains := [*host.find(name), *host.find(name, TemplateRecord)]:
        _destroy(host, domains, name)
        record, exists = domains[0].record, True
    if record is None or record.spec.network != "user":
        exists = host.end_network(name) or exists
    if record is not None:
        fam_allocation.release(fam_allocation.from_metadata(record), directory)
    # Before the directory, by which a retry finds the logs, and after it: libvirt may write a last line.
    host.remove_logs(name)
    directory.remove()
    host.remove_logs(name)
    return exists


def record_left(directory: LabDirectory) -> NodeRecord | None:
    """Read the record in a lab's directory; None if there is none."""
    try:
        return NodeRecord.from_xml(directory.record.read_text())
    except OSError:
        return None


def _destroy(host: Host, domains: list[Domain], lab: str) -> None:
    """End domains together: libvirt waits for each QEMU to be gone."""
    errors: list[FameError] = []

    def destroy(each: Domain) -> None:
        try:
            host.destroy(each)
        except FameError as error:
            errors.append(error)

    # An executor takes no more work once the interpreter ends, which is when a notebook's kernel is stopped.
    threads = [threading.Thread(target=destroy, args=[each], name=f"end-{lab}") for each in domains]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
