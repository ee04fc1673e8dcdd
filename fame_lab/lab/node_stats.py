"""Statistics of each node as its host sees them; no node is asked."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.core.moved import renamed
from fame_lab.errors import FameError, HostError
from fame_lab.host.libvirt import domain
from fame_lab.host.libvirt.connection import connect
from fame_lab.lab import console

if TYPE_CHECKING:
    import libvirt

__all__ = ["NodeMonitor", "NodeStats"]

__getattr__ = renamed(__name__, {"VitalSigns": "NodeMonitor", "Vitals": "NodeStats"})

_CONSOLE = 2048


@dataclass(frozen=True)
class NodeStats:
    """One node at one moment.

    Parameters
    ----------
    node : str
    state : str
        As :attr:`fame_lab.Node.state`.
    port : int, optional
        Of 127.0.0.1, which leads to its SSH server.
    console : str
        The last line that it wrote on its serial line.
    cpu : float, optional
        Cores that its QEMU kept busy since the look before: 1.0 is one core.
    memory : int, optional
        Bytes that its QEMU has in the host's memory, without those that it shares (FAM, its program).
    uptime : float, optional
        Seconds since its QEMU was started.
    """

    node: str
    state: str
    port: int | None = None
    console: str = ""
    cpu: float | None = None
    memory: int | None = None
    uptime: float | None = None


class NodeMonitor:
    """Looks at a lab's nodes, whoever started them, again and again.

    Parameters
    ----------
    lab : str
        Its name.
    """

    def __init__(self, lab: str) -> None:
        self._directory = LabDirectory.of(lab)
        self.lab = lab
        self._connection: libvirt.virConnect | None = None
        self._processes: dict[str, psutil.Process] = {}
        self._ports: dict[int, int] = {}

    def look(self) -> list[NodeStats]:
        """Look at the nodes that there are, in order; empty if there is none (any more).

        Raises
        ------
        HostError
            If libvirt does not answer; the next look tries anew.
        """
        try:
            if self._connection is None:
                self._connection = connect()
            processes: dict[str, psutil.Process] = {}
            stats = [self._of(each, processes) for each in domain.find(self._connection, self.lab)]
            self._processes = processes
            return stats
        except HostError:
            self.close()
            raise

    def ended(self) -> list[str]:
        """Name the nodes seen last whose QEMU has ended since; libvirt, which is slow, is not asked."""
        return [node for node, process in self._processes.items() if not _lives(process)]

    def close(self) -> None:
        """Release libvirt."""
        # With the last reference libvirt closes it, whatever state it is in.
        self._connection = None

    def _of(self, each: domain.Domain, processes: dict[str, psutil.Process]) -> NodeStats:
        name, state = each.record.node, each.state()
        line = console.last_line(console.tail(self._directory.console(name), _CONSOLE))
        pid = each.pid()
        if pid is None:
            return NodeStats(name, state, console=line)
        try:
            process = psutil.Process(pid)
            # The one from the look before knows how much it had worked by then.
            process = before if (before := self._processes.get(name)) == process else process
            processes[name] = process
            with process.oneshot():
                cpu, memory = process.cpu_percent() / 100, process.memory_info()
                uptime = time.time() - process.create_time()
        except psutil.Error:  # it has just ended
            return NodeStats(name, state, console=line)
        port = self._port(pid, each) if state == "running" else self._ports.get(pid)
        return NodeStats(name, state, port, line, cpu, memory.rss - memory.shared, uptime)

    def _port(self, pid: int, each: domain.Domain) -> int | None:
        # It stays for QEMU's life, and asking is slow: by its monitor.
        if pid not in self._ports:
            with contextlib.suppress(FameError):
                self._ports[pid] = each.ssh_port()
        return self._ports.get(pid)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
