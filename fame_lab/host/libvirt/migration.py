"""A template's state saved from QEMU, and given to another QEMU that was started to take it in.

Both have their memory in one file, which is left out of the state (``x-ignore-shared``). The template writes
through to the file, and a restored node maps it privately: a page that no node has changed exists once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from fame_lab.core.wait import wait_until
from fame_lab.errors import BootError, HostError
from fame_lab.host.libvirt.domain import Domain

__all__ = ["is_possible", "restore", "save"]

#: The first version of libvirt that passes an open file to QEMU.
_HANDS_FILES = 8_002_000

#: From this QEMU on a state's file has a path, if need be one that stands for an open file. QEMU 7.2 knows no
#: ``file:``, and 11.0 takes no ``fd:`` of a file (docs/about/removed-features.rst). Tried on 10.0 and 11.1.
_BY_PATH = 9_000_000
_PATH = "file:/dev/fdset/"

#: Seconds for a few hundred KiB.
_DEADLINE = 30.0
_POLL_INTERVAL = 0.005


def is_possible(version: int) -> bool:
    """Return whether a libvirt of this version, as it numbers them, can pass a state's file to QEMU."""
    return version >= _HANDS_FILES


def save(domain: Domain, state: Path) -> None:
    """Stop a template and write its state, without its memory, to a file.

    Raises
    ------
    BootError
        If it cannot be saved.
    """
    with as_boot_error(domain, "saved"), state.open("wb") as file:
        domain.qmp("stop")
        _leave_memory_out(domain)
        domain.qmp("migrate", uri=_handed(domain, file))
        _await(domain, lambda: _status(domain, "query-migrate") not in ("setup", "active", "device", "none"))
        if (status := _status(domain, "query-migrate")) != "completed":
            raise BootError(f"{domain.name} could not be saved: QEMU says {status!r}")


def restore(domain: Domain, state: Path) -> None:
    """Restore a domain, which was started for this, from a template's state; it stays paused.

    Raises
    ------
    BootError
        If it cannot be restored, for instance from the state of another kind of machine.
    """
    with as_boot_error(domain, "restored"), state.open("rb") as file:
        _leave_memory_out(domain)
        domain.qmp("migrate-incoming", uri=(uri := _handed(domain, file)))
        _await(domain, lambda: _status(domain, "query-status") != "inmigrate")
        if uri.startswith(_PATH):
            # Or the node would keep the file open, deleted, for as long as it lives.
            domain.qmp("remove-fd", **{"fdset-id": int(uri.removeprefix(_PATH))})


def _handed(domain: Domain, file: BinaryIO) -> str:
    """Pass QEMU an open file; return the address by which it reads a state from there, or writes one."""
    qemu = domain.record.qemu
    if qemu is None or qemu.version < _BY_PATH:
        domain.send_fd(file.fileno(), "state")
        return "fd:state"
    return f"{_PATH}{domain.send_fd_as_path(file.fileno())}"


@contextlib.contextmanager
def as_boot_error(domain: Domain, what: str) -> Iterator[None]:
    """Raise an error of libvirt or QEMU as BootError: the guest can be started in another way."""
    try:
        yield
    except (HostError, OSError) as error:
        raise BootError(f"{domain.name} could not be {what}: {error}") from error


def _leave_memory_out(domain: Domain) -> None:
    domain.qmp("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])


def _status(domain: Domain, command: str) -> str:
    return str(domain.qmp(command).get("status", "none"))


def _await(domain: Domain, condition: Callable[[], bool]) -> None:
    if not wait_until(condition, _DEADLINE, interval=_POLL_INTERVAL):
        raise BootError(f"{domain.name} took more than {_DEADLINE:.0f} s over a template's state")
