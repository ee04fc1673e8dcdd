"""A connection to libvirt for QEMU's monitors alone.

libvirt's client has one thread of a connection send and receive for all others. Now and then that thread
misses that another one has something to send, and waits on until something arrives: ``virNetClientIO`` may
quit the event loop just before the waiting thread runs it (seen in 9.0.0). A QEMU that hangs never answers,
and then that other one would wait without end. So no other call shares a connection with a monitor's.
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
    """Return a domain as the connection for monitors has it, which goes with the domain's own one.

    Raises
    ------
    libvirt.libvirtError
        If libvirt's daemon is gone, or the domain.
    """
    own = handle.connect()
    with _lock:
        beside = _beside.get(own)
        if beside is None:
            beside = _beside[own] = libvirt.open(own.getURI())
    try:
        return beside.lookupByUUID(handle.UUID())
    except libvirt.libvirtError:
        if not beside.isAlive():  # the next question gets one to the daemon that is there now
            abandon(own)
        raise


def abandon(connection: libvirt.virConnect) -> None:
    """Leave the connection beside this one to whoever waits there; the next question gets another."""
    with _lock, contextlib.suppress(KeyError):
        del _beside[connection]
