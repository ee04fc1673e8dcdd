"""The base of every image: how a node boots it, and what differs from node to node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

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
    "private_key",
    "public_key",
]

READY = "fame: {node} ready"
"""The line that a node writes on its serial line once its SSH server listens."""

TEMPLATE = "template"
"""The name, in place of a node's, of the guest that nodes are restored from."""

PERSONAL = "opt/fame_lab"
"""The place of a node's own data in QEMU's firmware configuration (fw_cfg), which only its root reads."""

FAM_LINK = Path(__file__).parent.parent / "files/usr/sbin/fam-link"
"""The script that points /dev/fam at FAM, in any guest with a shell."""

CONTROL_MAC = "52:54:00:12:34:56"
"""Hardware address of the NIC for SSH: each node is alone in its network, so one address does for all."""

SHELL = "console"
"""Under :data:`PERSONAL`, of an exported node: its serial line, which is its starter's, has root's shell."""


@dataclass(frozen=True)
class NodeNetwork:
    """A node's NIC in the lab's own network.

    Parameters
    ----------
    mac : str
        Its hardware address, by which the node finds it.
    address : IPv4Address
    netmask : IPv4Address
    leased : bool
        Whether a server on the host leases it the address by DHCP, routes for it, and answers for names.
        Otherwise the node itself sets the address.
    hosts : str
        Lines for /etc/hosts: every node, and the host where it has an address.
    """

    mac: str
    address: IPv4Address
    netmask: IPv4Address
    leased: bool
    hosts: str

    def personal(self) -> dict[str, bytes]:
        """Return the node's files under :data:`PERSONAL`: a line, ``network``, and the hosts file."""
        how = "dhcp" if self.leased else f"{self.address} {self.netmask}"
        return {"network": f"{self.mac} {how}\n".encode(), "hosts": self.hosts_file.encode()}

    @property
    def hosts_file(self) -> str:
        """The whole of /etc/hosts."""
        return f"127.0.0.1 localhost\n{self.hosts}"


def private_key(key: Ed25519PrivateKey) -> bytes:
    """Return a private key in OpenSSH's format."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def public_key(key: Ed25519PrivateKey) -> bytes:
    """Return the public key of a private one, as a line in OpenSSH's format."""
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)


@dataclass(frozen=True)
class Identity:
    """The name, keys and network of one node.

    Parameters
    ----------
    node : str
        Its name.
    authorized_key : str
        The public key that may log in as root: a line in OpenSSH's format.
    host_key : Ed25519PrivateKey
        The key of its SSH server.
    attachment : NodeNetwork, optional
        Its NIC in the lab's own network, if the lab has one.
    """

    node: str
    authorized_key: str
    host_key: Ed25519PrivateKey
    attachment: NodeNetwork | None = None


@dataclass(frozen=True)
class KernelBoot:
    """A kernel that QEMU itself loads."""

    kernel: Path
    initrd: Path
    cmdline: str


@dataclass(frozen=True)
class DiskBoot:
    """A disk that the firmware boots.

    Parameters
    ----------
    disk : Path
        A qcow2 file that this node alone writes to: an overlay of `base`.
    base : Path
        A qcow2 file that stands alone, and that nobody writes to.
    seed : Path, optional
        A second disk, read only, with the node's name and keys.
    kept : bool
        Whether the node's writes are kept in `disk`. If not, they end with the node, `disk` is `base`, and
        several nodes may have it.
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
        """Hexadecimal SHA-256 over all inputs."""

    @property
    def kernel_release(self) -> str:
        """The output of ``uname -r`` in the guest."""

    @property
    def says_ready(self) -> bool:
        """Whether a node writes :data:`READY`; one that does not is ready when it answers SSH."""

    @property
    def has_probe(self) -> bool:
        """Whether it contains this very probe program."""

    @property
    def deadline(self) -> float:
        """Seconds that a boot may take: some twenty times what it takes on an idle host."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that QEMU's user has to be able to read, for as long as nodes run."""

    def least_memory(self, vcpus: int) -> int:
        """Return the least bytes of memory with which a node with so many CPUs boots; 0 if unknown."""

    def boot(self, identity: Identity, directory: LabDirectory, *, tsc_khz: int | None) -> Boot:
        """Return how a node boots; files that are made for it lie in `directory`, and end with the lab.

        Parameters
        ----------
        identity : Identity
        directory : LabDirectory
        tsc_khz : int or None
            The host's time stamp counter frequency in kHz, where the guest should know it.
        """

    def personal(self, identity: Identity) -> Mapping[str, bytes]:
        """Return a node's files under :data:`PERSONAL`, by name."""
