"""The host as a lab needs it, from start to end: a protocol.

:class:`fame_lab.lab.libvirt_host.LibvirtHost` asks libvirt and SSH for it. In a test
:class:`fame_lab.testing.InMemoryHost` stands for it, whose nodes come up or fail as they are scripted.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from fame_lab.guest.images.base import Image
from fame_lab.guest.ssh.connection import Connection
from fame_lab.guest.ssh.keys import LabKeys
from fame_lab.host.accelerator import Accelerator
from fame_lab.host.libvirt.domain import Domain
from fame_lab.host.libvirt.metadata import NodeRecord
from fame_lab.host.qemu import Qemu
from fame_lab.host.qemu_user import QemuUser
from fame_lab.lab.network import LabNetwork
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["Host"]


class Host(Protocol):
    """The machine that a lab's nodes run on.

    Each question raises HostError if it is refused, and DaemonError if libvirt's daemon went away meanwhile.
    """

    # What is chosen, or refused, before anything is made.

    @property
    def user(self) -> QemuUser | None:
        """Whom QEMU runs as, if not ourselves."""

    @property
    def libvirt_version(self) -> int:
        """The version of libvirt: 1000000 * major + 1000 * minor + micro."""

    def labs(self) -> dict[str, list[Domain]]:
        """Return all nodes that run, by the lab's name."""

    def network(self, spec: LabSpec) -> LabNetwork:
        """Return the network that a lab is to have. It is not made yet."""

    def qemu(self, spec: LabSpec, tell: Callable[[str], None]) -> Qemu:
        """Return the QEMU that a lab's nodes will run in, once it is clear that they can."""

    def qemu_at(self, path: Path) -> Qemu:
        """Return the QEMU that lies at a path now."""

    def image(self, name: str, tell: Callable[[str], None]) -> Image:
        """Return the image that a spec names, built if it is not there."""

    def accelerator(self, spec: LabSpec, qemu: Qemu, tell: Callable[[str], None]) -> Accelerator:
        """Return what will execute the nodes' instructions."""

    # Domains.

    def security_models(self) -> set[str]:
        """Name the security drivers that a domain's description has to speak of."""

    def create(self, xml: str, record: NodeRecord) -> Domain:
        """Start a domain that vanishes when it ends, paused; see :func:`fame_lab.host.libvirt.domain.create`.

        After a DaemonError it may have been started all the same.
        """

    def find(self, lab: str, kind: type[NodeRecord] = NodeRecord) -> list[Domain]:
        """Return a lab's nodes in order, or with `kind` TemplateRecord what they are restored from."""

    def reconnected(self, domain: Domain) -> Domain:
        """Return a domain by a connection that answers."""

    def save(self, domain: Domain, state: Path) -> None:
        """Write a template's state into a file; BootError if it cannot be saved."""

    def restore(self, domain: Domain, state: Path) -> None:
        """Restore a paused domain from a template's state; BootError if it cannot be restored."""

    # What a node says.

    def console(self, lab: str, node: str, most: int) -> str:
        """Return the last `most` bytes that a node wrote on its serial line."""

    def ssh(
        self, node: str, port: Callable[[], int], keys: LabKeys, trouble: Callable[[], str]
    ) -> Connection:
        """Return the way into a node by SSH, which is not open yet."""

    # The end.

    def destroy(self, domain: Domain) -> None:
        """End a domain, by a connection of its own: several are ended at once."""

    def end_network(self, lab: str) -> bool:
        """Take a lab's network away; return whether there was one."""

    def remove_logs(self, lab: str) -> None:
        """Delete what was kept of the words of a lab's QEMUs."""

    def close(self) -> None:
        """Release the way to this machine."""
