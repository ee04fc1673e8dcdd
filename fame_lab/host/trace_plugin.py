"""The trace plugin for a QEMU, and the arguments that a traced node gets."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from fame_lab.core import native
from fame_lab.core.cache import cache_directory
from fame_lab.core.sanitize import shortened
from fame_lab.errors import HostError
from fame_lab.host.qemu import Qemu
from fame_lab.host.qemu_output import output_of
from fame_lab.host.qemu_user import QemuUser
from fame_lab.spec.qemu_options import escaped

__all__ = ["TracePlugin", "addresses_blocks", "delivered", "interface"]

#: Version of the plugin interface by the number of the first QEMU that should take it.
_EXPECTED = {11_001_000: 7, 11_000_000: 6, 9_000_000: 2, 0: 1}
#: Number of the first QEMU that gives plugins physical addresses: the development of 8.2. Its commit "plugin:
#: Simplify struct qemu_plugin_hwaddr" brought them, and left the interface's version at 1.
_PHYSICAL = 8_001_050
#: The plugin's answer before it ends QEMU: plugin/trace.c.
_ANSWER = re.compile(rb"^fame-trace: interface [0-9]+ to [0-9]+$", re.MULTILINE)


@dataclass(frozen=True)
class TracePlugin:
    """The trace plugin of a node, with its arguments.

    Parameters
    ----------
    path : Path
        The plugin.
    counters : Path
        The file in which it counts.
    order : Path
        The file to which it writes accesses in their order.
    lines : Path
        The lab's line directory.
    node : int
        The node's number, from 0.
    """

    path: Path
    counters: Path
    order: Path
    lines: Path
    node: int

    @property
    def argument(self) -> str:
        """What follows ``-plugin`` on QEMU's command line."""
        files = (
            f"counters={escaped(self.counters)},order={escaped(self.order)},directory={escaped(self.lines)}"
        )
        return f"file={escaped(self.path)},{files},node={self.node}"


def addresses_blocks(version: int) -> bool:
    """Return whether a QEMU adds the offset of the memory's block to the addresses that plugins see."""
    return version < _PHYSICAL


def interface(qemu: Qemu, user: QemuUser | None = None) -> int:
    """Return the version of the plugin interface for which a QEMU loads our plugin, found by a trial.

    Parameters
    ----------
    qemu : Qemu
    user : QemuUser, optional
        The user that it will run as, if another.

    Raises
    ------
    HostError
        If it loads none, with its own reason; or if the plugin was not compiled.
    """
    if (qemu, user) not in _interfaces:
        _interfaces[qemu, user] = _try(qemu, user)
    return _interfaces[qemu, user]


_interfaces: dict[tuple[Qemu, QemuUser | None], int] = {}


def delivered(version: int) -> Path:
    """Return the plugin of an interface's version, in the cache: QEMU's user may not read the package.

    Raises
    ------
    HostError
        If it was not compiled, or the cache cannot be written.
    """
    plugin = native.TRACE_PLUGINS[version]
    program = plugin.binary()
    # Its directory is named by its sources, so nodes that have an older one loaded keep it.
    path = cache_directory() / "plugin" / plugin.digest / program.name
    if path.is_file():
        return path
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(program.read_bytes())
        part.chmod(0o755)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise HostError(f"cannot put the trace plugin into {path.parent}: {error.strerror}") from error
    return path


def _try(qemu: Qemu, user: QemuUser | None) -> int:
    expected = next(version for first, version in _EXPECTED.items() if qemu.version >= first)
    others = sorted(native.TRACE_PLUGINS.keys() - {expected}, reverse=True)
    refusals = {}
    for version in (expected, *others):
        words = ["-machine", "none", "-nodefaults", "-display", "none"]
        words += ["-plugin", f"file={escaped(delivered(version))},interface=on"]
        output = output_of([str(qemu.path), *words], qemu.path, user)
        if _ANSWER.search(output):
            return version
        refusals[version] = output.decode(errors="replace")
    versions = ", ".join(map(str, sorted(refusals)))
    raise HostError(
        f"{qemu} cannot count accesses: the trace plugin is there for versions {versions} of QEMU's plugin "
        f"interface, and it loads none; it says {shortened(refusals[expected].strip(), 300)}. "
        "Labs without trace=True run in it, and lab.record() takes samples of them. "
        "For trace=True give qemu= another QEMU, from 7.2 to 11.1, that was built with plugins"
    )
