"""A lab's own network: made before its nodes, told to each of them, proved, and taken away.

As root it is libvirt's, with a bridge and a server for leases and names on the host. An ordinary user cannot
make a bridge: there it is a switch, to which the nodes alone are connected, at addresses that they are told.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fame_lab.core.directories import LabDirectory
from fame_lab.core.jobs import parallel
from fame_lab.errors import CommandError, NetworkError
from fame_lab.guest.images.base import Attachment
from fame_lab.host import vde_switch
from fame_lab.host.libvirt import network
from fame_lab.host.libvirt.nic import Card
from fame_lab.spec.lab_spec import LabSpec

if TYPE_CHECKING:
    import libvirt

    from fame_lab.lab.node import Node

__all__ = ["attachment", "card", "check", "end", "labs", "make", "prove_connected", "prove_up"]

_SSH_PORT = 22
#: Seconds in which a node's card has to answer, or another node.
_PATIENCE = 10


def _has_bridge() -> bool:
    return os.geteuid() == 0  # as the system's libvirt is root's: see host/libvirt/connection.py


def check(connection: libvirt.virConnect, spec: LabSpec) -> None:
    """Raise SpecError, early, if the network of a lab that is to be has no place on this host."""
    if spec.network == "libvirt" and _has_bridge():
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
    if _has_bridge():
        network.create(connection, spec)
    else:
        vde_switch.start(directory.switch)


def end(connection: libvirt.virConnect, lab: str) -> bool:
    """Take the network of a lab away; say whether there was one."""
    if _has_bridge():
        return network.destroy(connection, lab)
    path = LabDirectory.of(lab).switch
    there = path.exists()
    if there:
        vde_switch.end(path)
    return there


def labs(connection: libvirt.virConnect) -> list[str]:
    """Name the labs that have a network which their directory may not tell of."""
    return list(network.labs(connection)) if _has_bridge() else []


def card(spec: LabSpec, index: int, directory: LabDirectory) -> Card | None:
    """Say how a node is to be connected; None where labs have no network of their own."""
    if spec.addresses is None:
        return None
    mac = spec.addresses.mac(index)
    if _has_bridge():
        return Card(mac, network=network.network_name(spec.name))
    return Card(mac, switch=directory.switch)


def attachment(spec: LabSpec, index: int) -> Attachment | None:
    """Say what the node itself has to know."""
    addresses = spec.addresses
    if addresses is None:
        return None
    return Attachment(
        mac=addresses.mac(index),
        address=addresses.address(index),
        netmask=addresses.network.netmask,
        leased=_has_bridge(),
        hosts=addresses.hosts(spec.node_names, with_host=_has_bridge()),
    )


def prove_up(node: Node, cancelled: Callable[[], bool]) -> None:
    """See that a node has its address, and that the host reaches it there where it can.

    Raises
    ------
    NetworkError
        If not.
    """
    address = node.address
    if address is None:
        return
    if not _has_bridge():
        if f"inet {address}/" not in (told := node.run("ip -4 -o addr", check=False).stdout):
            raise NetworkError(f"{node.name} has not got its address, {address}: it says {told.strip()!r}")
        return
    end_of_patience = time.monotonic() + _PATIENCE
    while True:
        try:
            with contextlib.closing(socket.create_connection((address, _SSH_PORT), timeout=1)):
                return
        except OSError as error:
            if cancelled() or time.monotonic() > end_of_patience:
                has = node.run("ip -4 -o addr", check=False).stdout.strip()
                raise NetworkError(
                    f"the host does not reach {node.name} at {address}: {error}; the node has {has!r}. "
                    "Is there a firewall for new bridges on this host?"
                ) from error
            time.sleep(0.05)


def prove_connected(spec: LabSpec, nodes: Sequence[Node]) -> None:
    """See that each node reaches the next one by its name, the last the first.

    Raises
    ------
    NetworkError
        If one does not.
    """
    if spec.addresses is None:
        return
    following = dict(zip(spec.node_names, [*spec.node_names[1:], spec.node_names[0]], strict=True))

    def reach(node: Node) -> None:
        other = following[node.name]
        try:
            node.run(f"ping -q -c 1 -w {_PATIENCE} {shlex.quote(other)}")
        except CommandError as error:
            raise NetworkError(f"{node.name} does not reach {other} by its name: {error}") from error

    parallel.each(spec.name, nodes, reach)
