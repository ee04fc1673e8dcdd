"""The host as a lab asks it: by libvirt for domains and networks, by SSH for nodes."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.guest.images import appliance, catalog
from fame_lab.guest.images.base import Image
from fame_lab.guest.ssh.connection import Connection
from fame_lab.guest.ssh.keys import LabKeys
from fame_lab.host import accelerator as accel
from fame_lab.host import qemu, qemu_cache, trace_plugin
from fame_lab.host.accelerator import Accelerator
from fame_lab.host.libvirt import domain, migration, qemu_log
from fame_lab.host.libvirt.connection import (
    Libvirt,
    check_emulator,
    emulator,
    kvm_refusal,
    qemu_user,
    security_models,
)
from fame_lab.host.libvirt.daemons import ensure_daemons
from fame_lab.host.libvirt.metadata import NodeRecord
from fame_lab.host.qemu import Qemu
from fame_lab.host.qemu_user import QemuUser
from fame_lab.lab import console, network
from fame_lab.spec.lab_spec import LabSpec

if TYPE_CHECKING:
    from libvirt import virConnect

__all__ = ["LibvirtHost"]


class LibvirtHost:
    """The host that we run on. :class:`fame_lab.lab.host.Host` describes its methods.

    Raises
    ------
    HostError
        If libvirt is missing, does not start or refuses.
    """

    def __init__(self) -> None:
        self._libvirt = Libvirt()

    @property
    def _connection(self) -> virConnect:
        return self._libvirt.connection

    @functools.cached_property
    def user(self) -> QemuUser | None:
        """Whom libvirt runs QEMU as."""
        return qemu_user(self._connection)

    @property
    def libvirt_version(self) -> int:
        """The version of libvirt's daemon."""
        return int(self._connection.getLibVersion())

    def labs(self) -> dict[str, list[domain.Domain]]:
        """Group the nodes that libvirt knows."""
        return domain.labs(self._connection)

    def network(self, spec: LabSpec) -> network.LabNetwork:
        """Choose libvirt's bridge, a switch, or none."""
        return network.of(spec, self._libvirt)

    def qemu(self, spec: LabSpec, tell: Callable[[str], None]) -> Qemu:
        """Find the QEMU and check that libvirt and QEMU's user can run it."""
        path = qemu_cache.find(str(spec.qemu), tell)
        result = qemu.read(path or emulator(self._connection), self.user)
        if path is not None or spec.trace:
            qemu.check_fit(result, trace=spec.trace, user=self.user)
        if path is not None:
            check_emulator(self._connection, path)
        return result

    def qemu_at(self, path: Path) -> Qemu:
        """Ask a QEMU for its version."""
        return qemu.read(path, self.user)

    def default_qemu(self) -> Qemu:
        """Return the QEMU that libvirt takes for a domain which names none."""
        return self.qemu_at(emulator(self._connection))

    def image(self, name: str, tell: Callable[[str], None]) -> Image:
        """Take the image from the cache, or build it."""
        return catalog.get(name, tell)

    def accelerator(self, spec: LabSpec, qemu: Qemu, tell: Callable[[str], None]) -> Accelerator:
        """Try KVM, unless TCG is wanted."""
        user = self.user
        if spec.trace:
            trace_plugin.interface(qemu, user)
            return replace(accel.choose("tcg"), reason="trace=True: only TCG can count accesses")
        # The trial of KVM boots the appliance, whatever the nodes boot.
        trial = appliance.ensure(tell) if spec.accel != "tcg" else None
        return accel.choose(
            spec.accel,
            trial,
            qemu_user=user,
            qemu=qemu.path,
            refused=lambda: kvm_refusal(self._connection, str(qemu.path)),
            on_stage=tell,
        )

    def security_models(self) -> set[str]:
        """Read libvirt's capabilities."""
        return security_models(self._connection)

    def create(self, xml: str, record: NodeRecord) -> domain.Domain:
        """Start a domain by libvirt, whose daemons are started first where they have left."""
        ensure_daemons()
        return domain.create(self._connection, xml, record)

    def find(self, lab: str, kind: type[NodeRecord] = NodeRecord) -> list[domain.Domain]:
        """Find domains by what they carry."""
        return domain.find(self._connection, lab, kind)

    def reconnected(self, domain: domain.Domain) -> domain.Domain:
        """Look the domain up anew if the connection by which it was found is no more."""
        return domain.reconnected(self._connection)

    def save(self, domain: domain.Domain, state: Path) -> None:
        """Save by QEMU's migration into a file."""
        migration.save(domain, state)

    def restore(self, domain: domain.Domain, state: Path) -> None:
        """Restore by QEMU's migration from a file."""
        migration.restore(domain, state)

    def console(self, lab: str, node: str, most: int) -> str:
        """Read the file that libvirt's log daemon keeps."""
        return console.tail(LabDirectory.of(lab).console(node), most)

    def ssh(
        self, node: str, port: Callable[[], int], keys: LabKeys, trouble: Callable[[], str]
    ) -> Connection:
        """Return a connection by paramiko."""
        return Connection(node, port, keys, trouble)

    def destroy(self, domain: domain.Domain) -> None:
        """End a domain; libvirt serves five requests of one connection at a time."""
        with contextlib.closing(Libvirt()) as own:
            domain.reconnected(own.connection).destroy()

    def end_network(self, lab: str) -> bool:
        """Destroy libvirt's network, or end the switch."""
        return network.end(self._connection, lab)

    def remove_logs(self, lab: str) -> None:
        """Delete libvirt's logs of a lab's domains."""
        qemu_log.remove_of_lab(lab)

    def close(self) -> None:
        """Close the connection to libvirt."""
        self._libvirt.close()
