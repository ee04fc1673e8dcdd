"""A lab's own network: made before its nodes, told to each of them, and taken away.

It is chosen once, by :func:`of`. As root it is a bridge of libvirt's, with a server for leases and names on
the host. An ordinary user cannot make a bridge: there it is a switch, to which the nodes alone are connected.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.guest.images.base import NodeNetwork
from fame_lab.host import vde_switch
from fame_lab.host.libvirt import network
from fame_lab.host.libvirt.connection import Libvirt
from fame_lab.host.libvirt.nic import Nic
from fame_lab.spec.subnet import Subnet

if TYPE_CHECKING:
    from libvirt import virConnect

    from fame_lab.spec.lab_spec import LabSpec

__all__ = ["BridgeNetwork", "LabNetwork", "SwitchNetwork", "end", "labs", "node_network", "of"]


class LabNetwork:
    """How the nodes of a lab are connected: here by SSH alone, through QEMU's user-mode network."""

    #: Whether the host is part of it, and reaches the nodes there.
    has_host = False

    def check(self) -> None:
        """Raise SpecError if this host uses its addresses already."""

    def make(self, directory: LabDirectory) -> None:
        """Create it.

        Raises
        ------
        SpecError
            If its addresses are taken on this host; free ones are proposed.
        LabError
            If it is there already.
        HostError
            If this host lacks what it takes.
        """

    def nic(self, index: int, directory: LabDirectory) -> Nic | None:  # noqa: ARG002 - QEMU makes the one for SSH
        """Return how a node is to be connected; None where it has SSH alone."""
        return None

    def told(self, index: int) -> NodeNetwork | None:  # noqa: ARG002
        """Return what the node itself has to know."""
        return None


class _AddressedNetwork(LabNetwork):
    """Nodes that have addresses and names."""

    def __init__(self, spec: LabSpec, addresses: Subnet) -> None:
        self._spec = spec
        self._addresses = addresses

    def told(self, index: int) -> NodeNetwork:
        """Return a node's addresses and the names of all."""
        return node_network(self._spec, self._addresses, index, leased=self.has_host)


def node_network(spec: LabSpec, addresses: Subnet, index: int, *, leased: bool) -> NodeNetwork:
    """Return a node's place in its lab's network, of which the host is part if it leases the addresses."""
    return NodeNetwork(
        mac=addresses.mac(index),
        address=addresses.address(index),
        netmask=addresses.network.netmask,
        leased=leased,
        hosts=addresses.hosts(spec.node_names, with_host=leased),
    )


class BridgeNetwork(_AddressedNetwork):
    """A NAT bridge of libvirt's, with dnsmasq for leases and names."""

    has_host = True

    def __init__(self, spec: LabSpec, addresses: Subnet, libvirt: Libvirt) -> None:
        super().__init__(spec, addresses)
        self._libvirt = libvirt

    def check(self) -> None:
        """Raise SpecError if its addresses are taken on this host."""
        network.check_free(self._libvirt.connection, self._spec)

    def make(self, directory: LabDirectory) -> None:  # noqa: ARG002
        """Create libvirt's network."""
        network.create(self._libvirt.connection, self._spec)

    def nic(self, index: int, directory: LabDirectory) -> Nic:  # noqa: ARG002
        """Return a card in libvirt's network."""
        return Nic(self._addresses.mac(index), network=network.network_name(self._spec.name))


class SwitchNetwork(_AddressedNetwork):
    """A VDE switch, to which the nodes alone are connected, at addresses that nobody else sees."""

    def make(self, directory: LabDirectory) -> None:
        """Start the switch."""
        vde_switch.start(directory.switch)

    def nic(self, index: int, directory: LabDirectory) -> Nic:
        """Return a card at the switch."""
        return Nic(self._addresses.mac(index), switch=directory.switch)


def of(spec: LabSpec, libvirt: Libvirt) -> LabNetwork:
    """Return the network that a lab is to have."""
    if spec.addresses is None:
        return LabNetwork()
    if _may_bridge():
        return BridgeNetwork(spec, spec.addresses, libvirt)
    return SwitchNetwork(spec, spec.addresses)


def end(connection: virConnect, lab: str) -> bool:
    """Remove the network of a lab, even if nothing else is left of it; return whether there was one."""
    if _may_bridge():
        return network.destroy(connection, lab)
    path = LabDirectory.of(lab).switch
    if not path.exists():
        return False
    vde_switch.end(path)
    return True


def labs(connection: virConnect) -> list[str]:
    """List the labs that have a bridge, which may have no directory any more."""
    return list(network.labs(connection)) if _may_bridge() else []


def _may_bridge() -> bool:
    return os.geteuid() == 0  # as the system's libvirt is root's: see host/libvirt/daemons.py
