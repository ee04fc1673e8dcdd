"""The trace plugin where QEMU can load it, and what a traced node is given."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from fame_lab import native
from fame_lab.directory import cache_directory
from fame_lab.errors import HostError

__all__ = ["TracePlugin", "delivered", "interface_version"]

#: libvirt's number of the first QEMU that takes version 2 of the plugin interface, and not version 1.
_SECOND = 9_000_000


@dataclass(frozen=True)
class TracePlugin:
    """What QEMU is told to load.

    Parameters
    ----------
    path : Path
        The plugin.
    counters : Path
        The file in which it counts.
    order : Path
        The file through which accesses come in their order.
    """

    path: Path
    counters: Path
    order: Path


def interface_version(qemu: int) -> int:
    """Tell which version of the plugin interface a QEMU takes; `qemu` is libvirt's number of its version."""
    return 2 if qemu >= _SECOND else 1


def delivered(qemu: int) -> Path:
    """Give the plugin for this QEMU, in the cache: the package may lie where QEMU's user cannot read.

    Raises
    ------
    HostError
        If it was not compiled, or the cache cannot be written.
    """
    plugin = native.TRACE_PLUGINS[interface_version(qemu)]
    program = plugin.binary()
    # By what it was made of, so that nodes which have the older one loaded keep it.
    place = cache_directory() / "plugin" / plugin.digest / program.name
    if place.is_file():
        return place
    part = place.with_name(f".{place.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(program.read_bytes())
        part.chmod(0o755)
        part.replace(place)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise HostError(f"cannot put the trace plugin into {place.parent}: {error.strerror}") from error
    return place
