"""The virtual machine of a node, watched through libvirt; the guest is not asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fame_lab.core.wait import wait_until
from fame_lab.traffic.trace.counters import Counters
from fame_lab.traffic.trace.ring_buffer import AccessRing

if TYPE_CHECKING:
    from fame_lab.host.libvirt.domain import Domain, State
    from fame_lab.lab.context import LabContext

__all__ = ["NodeVM"]


class NodeVM:
    """What the host knows of a node."""

    def __init__(self, context: LabContext, domain: Domain) -> None:
        self._context = context
        self._domain = domain
        self.index = domain.record.index
        self.name = domain.record.node

    @property
    def domain(self) -> Domain:
        """Its libvirt domain, by a connection that answers."""
        self._domain = self._context.host.reconnected(self._domain)
        return self._domain

    def counters(self) -> Counters:
        """Open the file in which its QEMU counts, for one recording alone.

        Raises
        ------
        TrafficError
            If the lab has no trace, another recording runs, or the file is not what it should be.
        """
        return Counters(self._context.directory.counters(self.name), self._context.counter_layout)

    def order_ring(self) -> AccessRing:
        """Open the file through which its accesses come in their order; see :meth:`counters`."""
        layout = self._context.counter_layout
        return AccessRing(self._context.directory.order(self.name), layout.vcpus, layout.fam_size)

    @property
    def state(self) -> State:
        """``running``, ``paused``, ``stopping``, ``off``, ``crashed`` or ``gone``."""
        return self.domain.state()

    @property
    def ssh_port(self) -> int:
        """The port of 127.0.0.1 that leads to the node's SSH server."""
        return self.domain.ssh_port()

    @property
    def address(self) -> str | None:
        """Its address in the lab's own network, such as 192.168.42.1; None where it has none."""
        addresses = self._context.spec.addresses
        return None if addresses is None else str(addresses.address(self.index))

    def console(self, most: int = 4000) -> str:
        """Return the end of what the node wrote on its serial line, escape sequences and all.

        Parameters
        ----------
        most : int
            Bytes.

        Returns
        -------
        str
        """
        return self._context.console(self.name, most)

    def _has_ended(self, patience: float) -> bool:
        """Return whether QEMU is gone; libvirt may take a moment to see it."""
        wait_until(lambda: self.domain.state() not in ("running", "stopping"), patience)
        return self.domain.state() not in ("running", "paused", "stopping")
