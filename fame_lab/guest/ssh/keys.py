"""A lab's own keys: one that its nodes let in, and one for each node that it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.errors import SSHError
from fame_lab.guest.images.base import Identity, private_key, public_key

__all__ = ["LabKeys"]


@dataclass(frozen=True)
class LabKeys:
    """The keys by which a lab and its nodes know each other.

    Parameters
    ----------
    client : str
        The private key that logs in to the nodes, in OpenSSH's format.
    authorized : str
        Its line of ``authorized_keys``.
    hosts : mapping of str to str
        The public key that each node shows, in base64, by its name. An unknown key is an error.
    """

    client: str = field(repr=False)
    authorized: str
    hosts: Mapping[str, str]

    @classmethod
    def make(cls, directory: LabDirectory, nodes: Sequence[str]) -> LabKeys:
        """Create fresh keys, and write them to the lab's directory."""
        directory.write(directory.key, private_key(Ed25519PrivateKey.generate()))
        lines = []
        for node in nodes:
            host = Ed25519PrivateKey.generate()
            directory.write(directory.host_key(node), private_key(host))
            lines.append(f"{node} {public_key(host).decode()}\n")
        directory.write(directory.known_hosts, "".join(lines).encode())
        return cls.read(directory)

    @classmethod
    def read(cls, directory: LabDirectory) -> LabKeys:
        """Read the keys of a lab that runs.

        Raises
        ------
        SSHError
            If they are gone.
        """
        try:
            client = directory.key.read_text()
            public = public_key(_ed25519(client.encode())).decode()
            lines = (line.split() for line in directory.known_hosts.read_text().splitlines())
            hosts = {node: key for node, _, key in lines}
        except (OSError, ValueError) as error:
            raise SSHError(f"the keys of lab {directory.name!r} cannot be read: {error}") from error
        return cls(client, public, hosts)

    def identity(self, node: str, directory: LabDirectory) -> Identity:
        """Return the node's identity.

        Raises
        ------
        SSHError
            If its private host key cannot be read.
        """
        path = directory.host_key(node)
        try:
            return Identity(node, self.authorized, _ed25519(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise SSHError(f"the host key of {node} cannot be read from {path}: {error}") from error


def _ed25519(pem: bytes) -> Ed25519PrivateKey:
    key = load_ssh_private_key(pem, None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("it is another kind of key than the one that was made")
    return key
