"""A machine on which labs start and end without libvirt, QEMU or a guest."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from fame_lab.errors import BootError, LabError, SpecError
from fame_lab.guest.images.appliance import Appliance
from fame_lab.guest.ssh.connection import Connection
from fame_lab.guest.ssh.keys import LabKeys
from fame_lab.host.accelerator import Accelerator
from fame_lab.host.libvirt.domain import Domain
from fame_lab.host.libvirt.domain_xml import domain_name
from fame_lab.host.libvirt.metadata import NodeRecord
from fame_lab.host.qemu import Qemu
from fame_lab.host.qemu_user import QemuUser
from fame_lab.lab.network import LabNetwork
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.testing.calls import Calls
from fame_lab.testing.in_memory_connection import InMemoryConnection
from fame_lab.testing.in_memory_network import InMemoryNetwork
from fame_lab.testing.in_memory_node import InMemoryDomain, Machine, NodeLife

__all__ = ["InMemoryHost"]

_NOWHERE = Path("/in-memory")


class _Image(Appliance):
    """An image of which there is nothing but the name."""

    def least_memory(self, vcpus: int) -> int:  # noqa: ARG002 - as others
        """Return 0: any memory is enough."""
        return 0


class InMemoryHost:
    r"""A machine whose nodes are scripted, and run nothing.

    Keys, FAM and the lab's directory are real, as they are files. What a lab asks is recorded in its order.
    No node is traced, and none has a monitor.

    Attributes
    ----------
    calls : Calls
        What was asked of it; and what is to happen at a call, such as an error.
    user : QemuUser or None
        Whom QEMU is said to run as.
    libvirt_version : int
    address_bits : int
        Width of a node's physical addresses.
    most_booting : int
        Most nodes that booted at a time.

    Examples
    --------
    >>> from fame_lab import Lab, LabSpec
    >>> machine = InMemoryHost()
    >>> with Lab(LabSpec("memory", nodes=2, fam="1M"), progress=False, host=machine.connect) as lab:
    ...     lab.run("uname -n")["node02"].stdout
    'node02\n'
    >>> sorted(machine.calls.order("create", "destroy"))
    ['create node01', 'create node02', 'destroy node01', 'destroy node02']
    >>> machine.leftovers()
    []
    """

    def __init__(self) -> None:
        self.user: QemuUser | None = None
        self.libvirt_version = 9_000_000
        self.address_bits = 48
        self.most_booting = 0
        self.calls = Calls()
        self._lives: dict[str, list[NodeLife]] = {}
        self._machines: list[Machine] = []
        self._connections: list[InMemoryConnection] = []
        self._networks: set[str] = set()
        self._ports = itertools.count(1024)

    # What a test says and looks at.

    def script(self, node: str, *lives: NodeLife) -> None:
        """Arrange what a node does.

        Parameters
        ----------
        node : str
            Such as ``node01``, of any lab; or ``template``.
        *lives : NodeLife
            One for each time that it is created; the last is that of all later times.
        """
        self._lives[node] = list(lives)

    def kill(self, lab: str, words: str = "") -> bool:
        """End the QEMUs of a lab that run, as if killed; return whether there was any.

        Parameters
        ----------
        lab : str
        words : str
            What each writes last.

        Returns
        -------
        bool
        """
        machines = [each for each in self._of(lab) if each.state == "running"]
        for each in machines:
            each.end(words)
        return bool(machines)

    def leftovers(self) -> list[str]:
        """Return what is there: domains, logs, networks, connections that were opened and not closed.

        Returns
        -------
        list of str
        """
        names = [f"domain {_name(each)}" for each in self._machines if each.state != "gone"]
        names += [f"log {_name(each)}" for each in self._machines if each.log is not None]
        names += [f"network {lab}" for lab in sorted(self._networks)]
        return names + [f"connection {each.node}" for each in self._connections if each.is_open]

    # What a lab asks; see fame_lab.lab.host.Host.

    def connect(self) -> InMemoryHost:
        """Open the way to this machine: what ``Lab(host=...)`` takes."""
        with self.calls.record("connect", ""):
            return self

    def labs(self) -> dict[str, list[Domain]]:
        """Return all nodes by the lab's name."""
        with self.calls.record("labs", ""):
            names = {each.record.spec.name for each in self._machines}
            return {name: nodes for name in sorted(names) if (nodes := self._found(name, NodeRecord))}

    def network(self, spec: LabSpec) -> LabNetwork:
        """Return a network of the nodes alone, or none."""
        return LabNetwork() if spec.addresses is None else InMemoryNetwork(spec, self._networks, self.calls)

    def qemu(self, spec: LabSpec, tell: Callable[[str], None]) -> Qemu:  # noqa: ARG002 - as another host
        """Return a QEMU that is nowhere."""
        with self.calls.record("qemu", spec.name):
            return self.qemu_at(_NOWHERE / "qemu")

    def qemu_at(self, path: Path) -> Qemu:
        """Return the same QEMU."""
        return Qemu(path, 10_000_000)

    def image(self, name: str, tell: Callable[[str], None]) -> Appliance:  # noqa: ARG002
        """Return an image that is nowhere, and which can be restored."""
        with self.calls.record("image", name):
            return _Image(_NOWHERE / "kernel", _NOWHERE / "initrd", "0" * 64, "6.1.0-in-memory")

    def accelerator(self, spec: LabSpec, qemu: Qemu, tell: Callable[[str], None]) -> Accelerator:  # noqa: ARG002
        """Return what is called KVM, and executes nothing."""
        with self.calls.record("accelerator", spec.name):
            if spec.trace:
                raise SpecError("trace is True: nodes in memory make no accesses that could be counted")
            return Accelerator("kvm", "in memory", self.address_bits)

    def security_models(self) -> set[str]:
        """Return none."""
        return set()

    def create(self, xml: str, record: NodeRecord) -> Domain:  # noqa: ARG002 - nothing boots by it
        """Create a paused machine."""
        with self.calls.record("create", record.node):
            of_lab = self._of(record.spec.name)
            if any(each.record.node == record.node and each.state != "gone" for each in of_lab):
                raise LabError(f"{record.node} of {record.spec.name!r} exists in libvirt already")
            lives = self._lives.get(record.node) or [NodeLife()]
            life = lives.pop(0) if len(lives) > 1 else lives[0]
            machine = Machine(record, life, next(self._ports), self.calls)
            self._machines.append(machine)
            return InMemoryDomain(machine, record)

    def find(self, lab: str, kind: type[NodeRecord] = NodeRecord) -> list[Domain]:
        """Return a lab's nodes, or its template."""
        with self.calls.record("find", lab):
            return self._found(lab, kind)

    def reconnected(self, domain: Domain) -> Domain:
        """Return the domain itself."""
        return domain

    def save(self, domain: Domain, state: Path) -> None:
        """Write a state of a few bytes."""
        with self.calls.record("save", domain.record.node):
            state.write_bytes(b"state")

    def restore(self, domain: Domain, state: Path) -> None:
        """Read the state."""
        with self.calls.record("restore", domain.record.node):
            if state.read_bytes() != b"state":
                raise BootError(f"{domain.name} could not be restored: {state} holds no state")

    def console(self, lab: str, node: str, most: int) -> str:
        """Return what the last machine of that name wrote; it boots by being looked at."""
        with self.calls.record("console", node):
            booting = sum(each.is_booting for each in self._machines)
            self.most_booting = max(self.most_booting, booting)
            machines = [each for each in self._of(lab) if each.record.node == node]
            return machines[-1].look()[-most:] if machines else ""

    def ssh(
        self,
        node: str,
        port: Callable[[], int],
        keys: LabKeys,
        trouble: Callable[[], str],  # noqa: ARG002 - nothing hangs for FAM's sake
    ) -> Connection:
        """Return the way into a machine."""
        connection = InMemoryConnection(node, port, keys, self._at, self.calls)
        self._connections.append(connection)
        return connection

    def destroy(self, domain: Domain) -> None:
        """End a machine."""
        domain.destroy()

    def end_network(self, lab: str) -> bool:
        """Take a network away."""
        with self.calls.record("end network", lab):
            exists = lab in self._networks
            self._networks.discard(lab)
            return exists

    def remove_logs(self, lab: str) -> None:
        """Delete the logs of a lab's machines."""
        with self.calls.record("remove logs", lab):
            for each in self._of(lab):
                each.log = None

    def close(self) -> None:
        """Do nothing: there is no connection to release."""
        with self.calls.record("close", ""):
            pass

    def _of(self, lab: str) -> list[Machine]:
        return [each for each in self._machines if each.record.spec.name == lab]

    def _found(self, lab: str, kind: type[NodeRecord]) -> list[Domain]:
        machines = [each for each in self._of(lab) if each.state != "gone" and type(each.record) is kind]
        return [InMemoryDomain(each, each.record) for each in sorted(machines, key=_index)]

    def _at(self, port: int) -> Machine | None:
        return next((each for each in self._machines if each.port == port and each.state != "gone"), None)


def _index(machine: Machine) -> int:
    return machine.record.index


def _name(machine: Machine) -> str:
    return domain_name(machine.record.spec.name, machine.record.node)
