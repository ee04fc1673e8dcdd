"""Labs on a machine in memory, and all that they could leave behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from waiting import wait_for

from fame_lab import Lab, LabSpec
from fame_lab.core import lab_directory
from fame_lab.core.jobs.cancellation import is_cancelled
from fame_lab.testing import CALLS, InMemoryHost

__all__ = [
    "AT",
    "KINDS",
    "START_CALLS",
    "at",
    "interrupt",
    "leftovers",
    "memory_lab",
    "raising",
    "take_a_second_a_look",
]

#: Fields of labs that start in different ways.
KINDS: dict[str, dict[str, Any]] = {
    "cold": {"start": "cold"},
    "template": {"start": "template"},
    "network": {"start": "cold", "network": "libvirt"},
}
_ONLY = {"check network": "network", "make network": "network", "restore": "template", "save": "template"}
_OF_NODE = ("create", "restore", "resume", "console", "state", "open", "run")
#: All that a start asks of a host.
START_CALLS = CALLS[: CALLS.index("find")]
#: Each of them, with the kind of lab that asks it.
AT = [(kind, what) for kind in KINDS for what in START_CALLS if _ONLY.get(what, kind) == kind]


def memory_lab(machine: InMemoryHost, **fields: Any) -> Lab:
    """Create a lab of two nodes, named twin, that is to run on a machine in memory."""
    values: dict[str, Any] = {"name": "twin", "nodes": 2, "fam": "1M"} | fields
    return Lab(LabSpec(**values), progress=False, host=machine.connect)


def leftovers(machine: InMemoryHost, name: str = "twin") -> list[str]:
    """List all that is there of a lab: domains, logs, networks, connections, files, threads."""
    there = machine.leftovers()
    there += [str(path) for path in lab_directory.SHM.iterdir() if path.name.endswith(f"-{name}")]
    return there + [f"thread {each.name}" for each in threading.enumerate() if name in each.name]


def at(machine: InMemoryHost, what: str, do: Callable[[], object], *, when: str = "before") -> None:
    """Run `do` at a call: of the second node's, if it is about nodes."""
    arrange = machine.calls.before if when == "before" else machine.calls.after
    arrange(what, do, "node02" if what in _OF_NODE else None)


def raising(error: BaseException) -> Callable[[], NoReturn]:
    """Return a function that raises an error."""

    def do() -> NoReturn:
        raise error

    return do


class _Clock:
    """The clock of a boot that goes on by being looked at."""

    def __init__(self) -> None:
        self._now = 0.0

    def tick(self) -> None:
        self._now += 1.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, _seconds: float) -> None:
        pass


def take_a_second_a_look(machine: InMemoryHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a second of the deadline, and no time, for each look at a console."""
    clock = _Clock()
    monkeypatch.setattr("fame_lab.lab.boot.time", clock)
    machine.calls.before("console", clock.tick)


def interrupt() -> None:
    """Send Ctrl-C to the main thread, as from a start's own thread, and wait until it is heard."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)
    wait_for(is_cancelled, 60)
