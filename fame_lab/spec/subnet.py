"""The addresses of a lab's own network, as in FAME: node N has the N-th, the host the 254th."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from fame_lab.core.sanitize import quoted, shortened
from fame_lab.errors import SpecError

__all__ = ["DEFAULT_SUBNET", "HOST_NAME", "MAC_PREFIX", "Subnet", "free_subnet"]

DEFAULT_SUBNET = "192.168.42.0/24"
HOST_NAME = "host"
"""The host's name among its nodes."""

MAC_PREFIX = "48:50:42"
"""The beginning of the hardware address of a node's NIC in the lab's network: HPB, as in FAME."""

#: The host's number: behind the nodes' 40 addresses, and the last that a /24 has.
_HOST = 254
_PRIVATE = tuple(map(IPv4Network, ("192.168.0.0/16", "172.16.0.0/12", "10.0.0.0/8")))
#: QEMU's user-mode network, in which each node has its NIC for SSH.
_SSH = IPv4Network("10.0.2.0/24")


@dataclass(frozen=True)
class Subnet:
    """A private IPv4 network with room for the nodes and the host."""

    network: IPv4Network

    @classmethod
    def parse(cls, text: object) -> Subnet:
        """Read a network such as ``192.168.42.0/24``.

        Raises
        ------
        SpecError
            If it is none, not private, too small, or the one that carries SSH.

        Examples
        --------
        >>> str(Subnet.parse("192.168.42.0/24").address(0))
        '192.168.42.1'
        """
        example = f"give a private one of 24 bits or fewer, such as {DEFAULT_SUBNET!r}"
        fault = f"subnet is {shortened(text, 40) if isinstance(text, str) else quoted(text)}"
        if isinstance(text, IPv4Network):
            text = str(text)
        if not isinstance(text, str) or "/" not in text:
            raise SpecError(f"{fault}, which is no IPv4 network: {example}")
        try:
            network = IPv4Network(text.strip())
        except ValueError as error:
            guess = _network_around(text)
            # The error has all of the text in it, which may be long.
            why = f"; did you mean {str(guess)!r}?" if guess else f": {shortened(str(error), 90)}; {example}"
            raise SpecError(f"{fault}, which is no IPv4 network{why}") from error
        if not any(network.subnet_of(private) for private in _PRIVATE):
            raise SpecError(f"{fault}, which is not private (RFC 1918): {example}")
        if network.prefixlen > 24:
            raise SpecError(
                f"{fault}, which has no room for the host's address, its 254th: "
                f"{str(network.supernet(new_prefix=24))!r} has"
            )
        if network.overlaps(_SSH):
            raise SpecError(
                f"{fault}, and each node has another card in {_SSH}, by which SSH comes in",
                hint=f"give another one, such as {DEFAULT_SUBNET!r}",
            )
        return cls(network)

    def address(self, index: int) -> IPv4Address:
        """Return the address of a node by its number, from 0."""
        return self.network[index + 1]

    @property
    def host(self) -> IPv4Address:
        """The host's address."""
        return self.network[_HOST]

    @staticmethod
    def mac(index: int) -> str:
        """Return the hardware address of a node's NIC: its number in decimal digits, three times."""
        return ":".join([MAC_PREFIX, *[f"{index + 1:02d}"] * 3])

    def hosts(self, nodes: Sequence[str], *, with_host: bool) -> str:
        """Return lines of /etc/hosts: of nodes, in order, and of the host where it has an address."""
        lines = [f"{self.address(index)} {node}\n" for index, node in enumerate(nodes)]
        return "".join([*lines, f"{self.host} {HOST_NAME}\n"] if with_host else lines)

    def __str__(self) -> str:
        return str(self.network)


def free_subnet(networks: Iterable[IPv4Network]) -> Subnet | None:
    """Return a subnet that overlaps none of these networks; None if there is none."""
    networks = list(networks)
    free = (each for each in _candidates() if not any(each.network.overlaps(one) for one in networks))
    return next(free, None)


def _candidates() -> Iterator[Subnet]:
    default = IPv4Network(DEFAULT_SUBNET)
    yield Subnet(default)
    for private in _PRIVATE:
        for network in private.subnets(new_prefix=24):
            # Upwards from the default, or from its like: others take the low ones.
            if network.network_address.packed[2] > default.network_address.packed[2]:
                yield Subnet(network)


def _network_around(text: str) -> IPv4Network | None:
    try:
        return IPv4Interface(text.strip()).network
    except ValueError:
        return None
