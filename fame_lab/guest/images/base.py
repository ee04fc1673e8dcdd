"""The base of every image: how a node boots it, and what differs from node to node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fame_lab.core.lab_directory import LabDirectory

__all__ = [
    "CONTROL_MAC",
    "FAM_LINK",
    "PERSONAL",
    "READY",
    "SHELL",
    "TEMPLATE",
    "Boot",
    "DiskBoot",
    "Identity",
    "Image",
    "KernelBoot",
    "NodeNetwork",
]

READY = "fame: {node} ready"
"""What a node writes on its serial line once its SSH server listens."""

TEMPLATE = "template"
"""What the guest that nodes are restored from goes by, in place of a node's name."""

PERSONAL = "opt/fame_lab"
"""Where QEMU's firmware configuration (fw_cfg) has what is a node's own: root alone reads it in the guest."""

FAM_LINK = Path(__file__).parent.parent / "files/usr/sbin/fam-link"
"""The script that points /dev/fam at FAM, in any guest with a shell."""

CONTROL_MAC = "52:54:00:12:34:56"
"""Of the card by which the host reaches a node's SSH server: each is alone there, so one does for all."""

SHELL = "console"
"""Under that, of an exported node: its serial line, which is whoever's that started it, has root's shell."""


@dataclass(frozen=True)
class NodeNetwork:
    """A node's card in the lab's own network.

    Parameters
    ----------
    mac : str
        By which the node finds it.
    address : IPv4Address
    netmask : IPv4Address
    leased : bool
        Whether a server on the host leases it the address by DHCP, is its way out, and answers for names.
        Otherwise it is the node that gives the card its address.
    hosts : str
        Lines for /etc/hosts: every node, and the host where it has an address.
    """

    mac: str
    address: IPv4Address
    netmask: IPv4Address
    leased: bool
    hosts: str

    def personal(self) -> dict[str, bytes]:
        """Return what the node finds under :data:`PERSONAL`: a line, ``network``, and the hosts file."""
        how = "dhcp" if self.leased else f"{self.address} {self.netmask}"
        return {"network": f"{self.mac} {how}\n".encode(), "hosts": self.hosts_file.encode()}

    @property
    def hosts_file(self) -> str:
        """The whole of /etc/hosts."""
        return f"127.0.0.1 localhost\n{self.hosts}"


@dataclass(frozen=True)
class Identity:
    """What is one node's own.

    Parameters
    ----------
    node : str
        Its name.
    authorized_key : str
        The public key that may log in as root: a line in OpenSSH's format.
    host_key : Ed25519PrivateKey
        The key that it shows.
    attachment : NodeNetwork, optional
        To the lab's own network, if it has one.
    """

    node: str
    authorized_key: str
    host_key: Ed25519PrivateKey
    attachment: NodeNetwork | None = None


@dataclass(frozen=True)
class KernelBoot:
    """A kernel that QEMU itself loads.

    Parameters
    ----------
    kernel, initrd : Path
    cmdline : str
    """

    kernel: Path
    initrd: Path
    cmdline: str


@dataclass(frozen=True)
class DiskBoot:
    """A disk that the firmware boots.

    Parameters
    ----------
    disk : Path
        A qcow2 file that this node alone writes to: a layer above `base`.
    base : Path
        A qcow2 file that stands alone, and that nobody writes to.
    seed : Path, optional
        A second disk, read only, that tells the node who it is.
    kept : bool
        Whether what the node writes is kept in `disk`. If not, it goes when the node ends, `disk` is `base`,
        and several nodes may have it.
    """

    disk: Path
    base: Path
    seed: Path | None = None
    kept: bool = True


Boot = KernelBoot | DiskBoot


class Image(Protocol):
    """A guest image in the cache, or a user's own."""

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 over what went in."""

    @property
    def kernel_release(self) -> str:
        """What ``uname -r`` says in the guest."""

    @property
    def says_ready(self) -> bool:
        """Whether a node writes :data:`READY`; one that does not is ready when it answers SSH."""

    @property
    def has_probe(self) -> bool:
        """Whether it has this very probe program in it."""

    @property
    def deadline(self) -> float:
        """Seconds that a boot may take: some twenty times what it takes on an idle host."""

    @property
    def files(self) -> tuple[Path, ...]:
        """What QEMU's user has to be able to read, for as long as nodes run."""

    def least_memory(self, vcpus: int) -> int:
        """Return the bytes of memory that a node with so many CPUs comes up with; 0 if nothing tells."""

    def boot(self, identity: Identity, directory: LabDirectory, *, tsc_khz: int | None) -> Boot:
        """Return what a node boots; what is made for it lies in `directory`, and goes with the lab.

        Parameters
        ----------
        identity : Identity
        directory : LabDirectory
        tsc_khz : int or None
            The host's time stamp counter frequency in kHz, where the guest should be told.
        """

    def personal(self, identity: Identity) -> Mapping[str, bytes]:
        """Return what a node finds under :data:`PERSONAL`, by name."""
