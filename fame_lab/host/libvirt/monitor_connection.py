"""A connection to libvirt for QEMU's monitors alone.

In libvirt's client one thread of a connection sends and receives for all others. Now and then that thread
misses a message that another one has to send, and waits on until one arrives: ``virNetClientIO`` may quit the
event loop just before the waiting thread runs it (seen in 9.0.0). A QEMU that hangs never answers, and then
the other thread would wait without end. So no other call shares a connection with a monitor's.
"""

from __future__ import annotations

import contextlib
import threading
from weakref import WeakKeyDictionary

import libvirt

__all__ = ["abandon", "handle_for_monitor"]

_beside: WeakKeyDictionary[libvirt.virConnect, libvirt.virConnect] = WeakKeyDictionary()
_lock = threading.Lock()


def handle_for_monitor(handle: libvirt.virDomain) -> libvirt.virDomain:
    """Return a domain's handle on the connection for monitors, which ends with the domain's own connection.

    Raises
    ------
    libvirt.libvirtError
        If libvirt's daemon or the domain is gone.
    """
    own = handle.connect()
    with _lock:
        beside = _beside.get(own)
        if beside is None:
            beside = _beside[own] = libvirt.open(own.getURI())
    try:
        return beside.lookupByUUID(handle.UUID())
    except libvirt.libvirtError:
        if not beside.isAlive():  # the next command gets a connection to the present daemon
            abandon(own)
        raise


def abandon(connection: libvirt.virConnect) -> None:
    """Forget the connection for monitors, on which a thread may wait; the next command opens another."""
    with _lock, contextlib.suppress(KeyError):
        del _beside[connection]
