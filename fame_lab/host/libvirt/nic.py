"""A node's NIC in the lab's own network, as its domain has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

__all__ = ["Nic"]

#: Its PCI slot, behind those of the NIC for SSH and of FAM.
SLOT = "0xa"


@dataclass(frozen=True)
class Nic:
    """A NIC, attached to a network of libvirt's or to a switch.

    Parameters
    ----------
    mac : str
    network : str
        The network's name; empty for a switch.
    switch : Path, optional
        The directory of a VDE switch's sockets.
    """

    mac: str
    network: str = ""
    switch: Path | None = None

    def add_interface(self, devices: Element) -> None:
        """Add the interface that libvirt connects, if the network is one of its own."""
        if not self.network:
            return
        interface = SubElement(devices, "interface", type="network")
        SubElement(interface, "mac", address=self.mac)
        SubElement(interface, "source", network=self.network)
        SubElement(interface, "model", type="virtio")
        SubElement(interface, "rom", enabled="no")  # nothing boots from it
        SubElement(interface, "address", type="pci", domain="0", bus="0", slot=SLOT, function="0")

    def arguments(self) -> list[str]:
        """Return QEMU's own arguments for a NIC at a switch, which libvirt does not know."""
        if self.switch is None:
            return []
        return [
            *("-netdev", f"vde,id=lab,sock={self.switch}"),
            *("-device", f"virtio-net-pci,netdev=lab,mac={self.mac},bus=pcie.0,addr={SLOT},romfile="),
        ]
