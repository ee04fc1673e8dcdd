"""The way into a node in memory, in place of SSH."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fame_lab.core.jobs.cancellation import is_cancelled
from fame_lab.core.wait import wait_until
from fame_lab.errors import SSHError
from fame_lab.guest.ssh.connection import Connection
from fame_lab.guest.ssh.keys import LabKeys
from fame_lab.guest.ssh.output import Sink
from fame_lab.testing.calls import Calls
from fame_lab.testing.in_memory_node import Machine

__all__ = ["InMemoryConnection"]

_POLL_INTERVAL = 0.001


class InMemoryConnection(Connection):
    """The way into a machine.

    Parameters
    ----------
    node : str
    port : callable
        Returns the port that leads to the node.
    keys : LabKeys
    machine_at : callable
        Returns the machine to which a port leads; None if there is none.
    calls : Calls
    """

    def __init__(
        self,
        node: str,
        port: Callable[[], int],
        keys: LabKeys,
        machine_at: Callable[[int], Machine | None],
        calls: Calls,
    ) -> None:
        super().__init__(node, port, keys)
        self._machine_at = machine_at
        self._calls = calls
        self.is_open = False

    def open(self, deadline: float = 30.0, *, settled: bool = True) -> None:  # noqa: ARG002 - as one by SSH
        """Connect unless connected."""
        with self._calls.record("open", self.node):
            machine = self._machine_at(self._port())
            if machine is None or not machine.life.answers:
                if wait_until(is_cancelled, max(deadline, 0.0), interval=_POLL_INTERVAL):
                    raise SSHError(f"{self.node}: called off before it answered SSH")
                raise SSHError(f"{self.node} does not answer SSH within {deadline:.0f} s")
            self.is_open = True

    def execute(
        self,
        command: str,
        *,
        timeout: float | None = None,  # noqa: ARG002 - nothing takes time
        stdin: bytes | Iterable[bytes] = b"",  # noqa: ARG002 - nothing reads
        sink: Sink | None = None,
        words: str = "",  # noqa: ARG002
    ) -> tuple[bytes, bytes, int]:
        """Return what a command writes, nothing on its standard error, and status 0."""
        with self._calls.record("run", self.node):
            if is_cancelled():
                raise SSHError(f"{self.node}: {command!r} was called off before it began")
            machine = self._machine_at(self._port())
            if machine is None:
                raise SSHError(f"{self.node} went away during {command!r}")
            self.is_open = True
            output = machine.execute(command)
            if sink is not None:
                sink(output)
                output = b""
            return output, b"", 0

    def close(self) -> None:
        """End the connection."""
        self.is_open = False
