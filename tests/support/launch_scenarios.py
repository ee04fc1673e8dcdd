"""Starts that a host in memory and a real one are held to alike.

Each scenario starts a lab on a host and returns what came of it. ``tests/unit/lab/test_launch_scenarios.py``
says what that is in memory; ``tests/vm/test_twin_vm.py`` holds the real host to the same.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from leftovers import leftovers as real_leftovers
from leftovers import processor_seconds, qemu_processes
from memory_lab import leftovers as memory_leftovers
from waiting import wait_for

from fame_lab import Lab, LabSpec
from fame_lab.errors import FameError
from fame_lab.lab.host import Host
from fame_lab.lab.libvirt_host import LibvirtHost
from fame_lab.testing import InMemoryHost, NodeLife

__all__ = ["SCENARIOS", "MemoryMachine", "Outcome", "RealMachine", "TwinMachine"]

NODES = ("node01", "node02")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a start.

    Parameters
    ----------
    stages : dict of str to list of str
        What each node, or the lab, came to, in its order.
    error : str
        Class of what was raised; empty if the lab came up.
    named : list of str
        Nodes that its message names.
    leftovers : list of str
        What is there afterwards.
    """

    stages: dict[str, list[str]]
    error: str
    named: list[str]
    leftovers: list[str]


class TwinMachine(Protocol):
    """A machine that a scenario can be played on."""

    def connect(self) -> Host:
        """Open the way to it."""

    def stall(self, node: str) -> None:
        """Stall a node's boot, so that it can be killed during it."""

    def kill(self, lab: str) -> None:
        """Kill the one QEMU of a lab while its node boots."""

    def leftovers(self, lab: str) -> list[str]:
        """List all that is there of a lab."""


class MemoryMachine:
    """One in memory."""

    def __init__(self, host: InMemoryHost) -> None:
        self._host = host

    def connect(self) -> Host:
        return self._host.connect()

    def stall(self, node: str) -> None:
        self._host.script(node, NodeLife(boots_after=None))

    def kill(self, lab: str) -> None:
        wait_for(lambda: self._host.kill(lab))

    def leftovers(self, lab: str) -> list[str]:
        return memory_leftovers(self._host, lab)


class RealMachine:
    """This host, on which QEMU runs."""

    #: Of processor time: libvirt's own part of a node's start is over, and its kernel is not up yet.
    BOOTING_SECONDS = 0.5

    def connect(self) -> Host:
        return LibvirtHost()

    def stall(self, node: str) -> None:
        pass  # a boot takes long enough

    def kill(self, lab: str) -> None:
        def booting() -> list[int]:
            pids = qemu_processes(lab)
            return [pid for pid in pids if _seconds(pid) > self.BOOTING_SECONDS]

        wait_for(booting)
        for pid in booting():
            os.kill(pid, signal.SIGKILL)

    def leftovers(self, lab: str) -> list[str]:
        return real_leftovers(lab)


def _seconds(pid: int) -> float:
    try:
        return processor_seconds(pid)
    except OSError:  # it has just ended
        return 0.0


def comes_up(machine: TwinMachine, name: str) -> Outcome:
    """Start two nodes, run a command on both, and end them."""

    def use(lab: Lab) -> None:
        assert [result.stdout for result in lab.run("uname -n").values()] == [f"{node}\n" for node in NODES]

    return _start(machine, LabSpec(name, nodes=2, fam="1M", start="cold"), use=use)


def comes_up_from_a_template(machine: TwinMachine, name: str) -> Outcome:
    """Start two nodes that are restored from a template, and end them."""

    def use(lab: Lab) -> None:
        assert {start["kind"] for start in lab.manifest()["start"].values()} == {"template"}

    return _start(machine, LabSpec(name, nodes=2, fam="1M", start="template"), use=use)


def is_interrupted_while_it_boots(machine: TwinMachine, name: str) -> Outcome:
    """Start a node, and send Ctrl-C when it boots."""
    machine.stall("node01")

    def on_stage(stage: str) -> None:
        if stage == "booting":
            signal.raise_signal(signal.SIGINT)

    return _start(machine, _slow(name), on_stage)


def is_killed_while_it_boots(machine: TwinMachine, name: str) -> Outcome:
    """Start a node, and kill its QEMU as often as it boots."""
    machine.stall("node01")

    def on_stage(stage: str) -> None:
        if stage == "booting":
            machine.kill(name)

    return _start(machine, _slow(name), on_stage)


def _slow(name: str) -> LabSpec:
    """Describe a node whose boot takes seconds on any host."""
    return LabSpec(name, nodes=1, fam="1M", start="cold", accel="tcg")


SCENARIOS: dict[str, Callable[[TwinMachine, str], Outcome]] = {
    "comes-up": comes_up,
    "comes-up-from-a-template": comes_up_from_a_template,
    "is-interrupted-while-it-boots": is_interrupted_while_it_boots,
    "is-killed-while-it-boots": is_killed_while_it_boots,
}


def _start(
    machine: TwinMachine,
    spec: LabSpec,
    on_stage: Callable[[str], None] = lambda _stage: None,
    *,
    use: Callable[[Lab], None] = lambda _lab: None,
) -> Outcome:
    stages: dict[str, list[str]] = {}

    def tell(who: str, stage: str) -> None:
        # The lab's name differs, and so does whether an image has to be built first.
        of = stages.setdefault(who if who in spec.node_names else "lab", [])
        if who in spec.node_names or stage in _OF_EVERY_START:
            of.append(stage)
        on_stage(stage)

    error: BaseException | None = None
    arguments: dict[str, Any] = {"progress": False, "host": machine.connect}
    try:
        with Lab(spec, **arguments).start(tell=tell) as lab:
            use(lab)
    except (FameError, KeyboardInterrupt) as raised:
        error = raised
    return Outcome(
        stages,
        "" if error is None else type(error).__name__,
        [node for node in NODES if node in str(error)],
        machine.leftovers(spec.name),
    )


_OF_EVERY_START = ("choosing the accelerator", "making keys and FAM", "making a template")
