"""The proof that a lab's own network carries what it should: from host to node, and from node to node."""

from __future__ import annotations

import contextlib
import shlex
import socket
from collections.abc import Sequence

from fame_lab.core.jobs import parallel
from fame_lab.core.jobs.cancellation import raise_if_cancelled
from fame_lab.core.wait import wait_until
from fame_lab.errors import CommandError, NetworkError
from fame_lab.lab.node import Node
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["prove_connected", "prove_up"]

_SSH_PORT = 22
#: Seconds in which a node's NIC has to answer, or another node.
_PATIENCE = 10


def prove_up(node: Node, *, from_host: bool) -> None:
    """Check that a node has its address.

    Parameters
    ----------
    node : Node
    from_host : bool
        Whether the host has to reach it there.

    Raises
    ------
    NetworkError
        If not.
    """
    address = node.address
    if address is None:
        return
    if not from_host:
        if f"inet {address}/" not in (output := _addresses(node)):
            raise NetworkError(f"{node.name} has not got its address, {address}: it says {output!r}")
        return
    if not wait_until(lambda: _answers(address), _PATIENCE):
        raise NetworkError(
            f"the host does not reach {node.name} at {address} within {_PATIENCE} s; "
            f"the node has {_addresses(node)!r}. Is there a firewall for new bridges on this host?"
        )


def _addresses(node: Node) -> str:
    return node.run("ip -4 -o addr", check=False).stdout.strip()


def _answers(address: str) -> bool:
    raise_if_cancelled()
    with contextlib.suppress(OSError), socket.create_connection((address, _SSH_PORT), timeout=1):
        return True
    return False


def prove_connected(spec: LabSpec, nodes: Sequence[Node]) -> None:
    """Check that each node reaches the next one by its name, the last the first.

    Raises
    ------
    NetworkError
        If one does not.
    """
    following = dict(zip(spec.node_names, [*spec.node_names[1:], spec.node_names[0]], strict=True))

    def reach(node: Node) -> None:
        other = following[node.name]
        try:
            node.run(f"ping -q -c 1 -w {_PATIENCE} {shlex.quote(other)}")
        except CommandError as error:
            raise NetworkError(f"{node.name} does not reach {other} by its name: {error}") from error

    parallel.each(spec.name, nodes, reach)
