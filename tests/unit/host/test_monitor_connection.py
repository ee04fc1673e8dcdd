from typing import Any

import libvirt
import libvirt_qemu
import pytest

from fame_lab.errors import HostError
from fame_lab.host.libvirt import qemu_monitor
from fame_lab.host.libvirt.monitor_connection import handle_for_monitor


class Connection:
    """A connection, and how often its like was opened."""

    opened = 0

    def getURI(self) -> str:  # noqa: N802 - libvirt's name
        return "fake:///"

    def isAlive(self) -> bool:  # noqa: N802
        return True

    def lookupByUUID(self, _uuid: bytes) -> "Handle":  # noqa: N802
        return Handle(self)


class Handle:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def connect(self) -> Connection:
        return self._connection

    def UUID(self) -> bytes:  # noqa: N802
        return b"one"

    def name(self) -> str:
        return "fame-x-node01"


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Any:
    def fresh(_uri: str) -> Connection:
        Connection.opened += 1
        return Connection()

    monkeypatch.setattr(Connection, "opened", 0)
    monkeypatch.setattr(libvirt, "open", fresh)
    return Handle(Connection())


def test_monitors_are_asked_by_one_connection_that_nothing_else_uses(handle: Any) -> None:
    connections = [handle_for_monitor(handle).connect() for _ in range(3)]
    assert connections[0] is connections[1] is connections[2] is not handle.connect()
    assert Connection.opened == 1


def test_a_connection_on_which_somebody_waits_without_end_is_used_no_more(
    handle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    over = threading.Event()
    monkeypatch.setattr(qemu_monitor, "PATIENCE", 0.05)
    monkeypatch.setattr(libvirt_qemu, "qemuMonitorCommand", lambda *_: over.wait() and "")
    before = handle_for_monitor(handle).connect()
    with pytest.raises(HostError, match=r"does not answer.*`fame-lab restart`"):
        qemu_monitor.ask(handle, "query-status", qemu_monitor.MACHINE)
    over.set()
    assert handle_for_monitor(handle).connect() is not before
