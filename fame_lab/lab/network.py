"""A lab's own network: made before its nodes, told to each of them, proved, and taken away.

As root it is libvirt's, with a bridge and a server for leases and names on the host. An ordinary user cannot
make a bridge: there it is a switch, to which the nodes alone are connected, at addresses that they are told.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.guest.images.base import NodeNetwork
from fame_lab.host import vde_switch
from fame_lab.host.libvirt import network
from fame_lab.host.libvirt.nic import Nic
from fame_lab.spec.lab_spec import LabSpec

if TYPE_CHECKING:
    import libvirt

__all__ = ["attachment", "card", "check", "end", "has_bridge", "labs", "make"]


def has_bridge() -> bool:
    """Return whether the host is part of such a network."""
    return os.geteuid() == 0  # as the system's libvirt is root's: see host/libvirt/connection.py


def check(connection: libvirt.virConnect, spec: LabSpec) -> None:
    """Raise SpecError, early, if the network of a lab that is to be has no place on this host."""
    if spec.network == "libvirt" and has_bridge():
        network.check_free(connection, spec)


def make(connection: libvirt.virConnect, spec: LabSpec, directory: LabDirectory) -> None:
    """Make the network of a lab, if it is to have one.

    Raises
    ------
    SpecError
        If its addresses are taken on this host; free ones are proposed.
    LabError
        If it is there already.
    HostError
        If this host lacks what it takes.
    """
    if spec.network != "libvirt":
        return
    if has_bridge():
        network.create(connection, spec)
    else:
        vde_switch.start(directory.switch)


def end(connection: libvirt.virConnect, lab: str) -> bool:
    """Take the network of a lab away; say whether there was one."""
    if has_bridge():
        return network.destroy(connection, lab)
    path = LabDirectory.of(lab).switch
    there = path.exists()
    if there:
        vde_switch.end(path)
    return there


def labs(connection: libvirt.virConnect) -> list[str]:
    """Name the labs that have a network which their directory may not tell of."""
    return list(network.labs(connection)) if has_bridge() else []


def card(spec: LabSpec, index: int, directory: LabDirectory) -> Nic | None:
    """Return how a node is to be connected; None where labs have no network of their own."""
    if spec.addresses is None:
        return None
    mac = spec.addresses.mac(index)
    if has_bridge():
        return Nic(mac, network=network.network_name(spec.name))
    return Nic(mac, switch=directory.switch)


def attachment(spec: LabSpec, index: int) -> NodeNetwork | None:
    """Return what the node itself has to know."""
    addresses = spec.addresses
    if addresses is None:
        return None
    return NodeNetwork(
        mac=addresses.mac(index),
        address=addresses.address(index),
        netmask=addresses.network.netmask,
        leased=has_bridge(),
        hosts=addresses.hosts(spec.node_names, with_host=has_bridge()),
    )
