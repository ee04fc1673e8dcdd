"""A node in memory: the machine that stands for its QEMU, and its domain."""

from __future__ import annotations

import json
import shlex
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fame_lab.errors import BootError, HostError
from fame_lab.guest.images.base import READY
from fame_lab.host.fam import Fam
from fame_lab.host.libvirt.domain import Domain, State
from fame_lab.host.libvirt.metadata import NodeRecord
from fame_lab.testing.calls import Calls

__all__ = ["InMemoryDomain", "Machine", "NodeLife"]


@dataclass(frozen=True)
class NodeLife:
    """What a node does from its creation to its end.

    Parameters
    ----------
    boots_after : int, optional
        How often its console is looked at before it says that it is ready; None if it never does.
    console : str
        What it writes there first.
    dies : str, optional
        Its QEMU's last words: it ends when it would be ready.
    answers : bool
        Whether it answers SSH.
    shares : bool
        Whether its FAM is the lab's.
    """

    boots_after: int | None = 1
    console: str = ""
    dies: str | None = None
    answers: bool = True
    shares: bool = True


class Machine:
    """What stands for a node's QEMU.

    Parameters
    ----------
    record : NodeRecord
    life : NodeLife
    port : int
        What stands for the port that leads to its SSH server.
    calls : Calls
    """

    def __init__(self, record: NodeRecord, life: NodeLife, port: int, calls: Calls) -> None:
        self.record = record
        self.life = life
        self.port = port
        self.calls = calls
        self.state: State = "paused"
        self.console = ""
        #: What QEMU wrote; None once that is deleted.
        self.log: str | None = ""
        self.is_ready = False
        self._looks = 0
        self._lock = threading.Lock()
        self._own_memory: dict[int, bytes] = {}

    @property
    def is_booting(self) -> bool:
        """Whether it runs and is not ready yet."""
        return self.state == "running" and not self.is_ready

    def resume(self) -> None:
        """Boot, or go on."""
        self.state = "running"
        self.console += self.life.console

    def look(self) -> str:
        """Return what it has written so far; it boots by being looked at."""
        with self._lock:
            if self.is_booting and self.life.boots_after is not None:
                self._looks += 1
                if self._looks > self.life.boots_after:
                    self._come_up()
            return self.console

    def end(self, words: str) -> None:
        """End by itself, with QEMU's last words: the domain vanishes, its log stays."""
        self.state = "gone"
        if self.log is not None:
            self.log += words

    def destroy(self) -> None:
        """End, and delete its log."""
        self.state, self.log = "gone", None

    def execute(self, command: str) -> bytes:
        """Return what a command writes; of commands that it does not know, nothing."""
        try:
            words = shlex.split(command)
        except ValueError:  # a shell's, and none of ours
            words = []
        match words:
            case ["uname", "-n"]:
                return f"{self.record.node}\n".encode()
            case ["ip", "-4", "-o", "addr"] if (addresses := self.record.spec.addresses) is not None:
                return f"3: eth1 inet {addresses.address(self.record.index)}/24\n".encode()
            case [_, "prove", *options]:
                return self._prove(options)
        return b""

    def _come_up(self) -> None:
        if self.life.dies is not None:
            self.end(self.life.dies)
        else:
            self.is_ready = True
            self.console += READY.format(node=self.record.node) + "\n"

    def _prove(self, options: list[str]) -> bytes:
        source, target = (int(options[options.index(name) + 1]) for name in ("--read", "--write"))
        read = self._load(source)
        self._store(target, int(options[-1], 0).to_bytes(8, "little"))
        return json.dumps({"read": f"{int.from_bytes(read, 'little'):#018x}"}).encode() + b"\n"

    def _load(self, offset: int) -> bytes:
        return self._fam().read(offset, 8) if self.life.shares else self._own_memory.get(offset, bytes(8))

    def _store(self, offset: int, content: bytes) -> None:
        if self.life.shares:
            self._fam().write(offset, content, control=True)
        else:
            self._own_memory[offset] = content

    def _fam(self) -> Fam:
        record = self.record
        return Fam(Path(record.fam_path), record.spec.fam_size, record.fam_created, record.fam_identity)


@dataclass(frozen=True)
class InMemoryDomain(Domain):
    """A domain whose handle is a :class:`Machine`. It has no monitor."""

    @property
    def _machine(self) -> Machine:
        assert isinstance(self.handle, Machine)  # noqa: S101 - so it is made
        return self.handle

    def resume(self) -> None:
        """Resume a paused machine."""
        with self._machine.calls.record("resume", self.record.node):
            self._check_exists()
            self._machine.resume()

    def state(self) -> State:
        """Return ``running``, ``paused`` or ``gone``."""
        with self._machine.calls.record("state", self.record.node):
            return self._machine.state

    def pid(self) -> int | None:
        """Return None: there is no process."""
        return None

    def ssh_port(self) -> int:
        """Return what stands for the port."""
        self._check_exists()
        return self._machine.port

    def destroy(self) -> None:
        """End it at once, and delete its log."""
        with self._machine.calls.record("destroy", self.record.node):
            self._machine.destroy()

    def qemu_log_tail(self) -> str:
        """Return the last words of what stands for QEMU."""
        return self._machine.log or ""

    def _check_exists(self) -> None:
        if self._machine.state == "gone":
            raise BootError(f"{self.record.node} is gone: {self.exit_report()}")

    def _ask(self, command: str, arguments: dict[str, object], *files: int) -> Any:  # noqa: ARG002
        raise HostError(f"{self.name} is in memory, and has no monitor to ask for {command}")
