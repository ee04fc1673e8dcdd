"""What `fame-lab qemu` does: fetch, list and remove QEMUs that lie beside the host's own."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from fame_lab.cli import output
from fame_lab.core.sizes import MIB
from fame_lab.host.qemu import dotted
from fame_lab.spec.validation import QEMU_NAMES

__all__ = ["add_arguments", "qemu"]


def add_arguments(words: argparse.ArgumentParser) -> None:
    """Add the words after ``qemu``."""
    actions = words.add_subparsers(required=True, metavar="ACTION", dest="action")
    get = actions.add_parser("get", help="fetch the one of Debian's backports, unless it is there")
    get.add_argument("name", metavar="NAME", nargs="?", default=QEMU_NAMES[0], choices=QEMU_NAMES)
    get.add_argument("--newer", action="store_true", help="also where an older one is there")
    ls = actions.add_parser("ls", help="what is in the cache")
    ls.add_argument("--json", action="store_true")
    rm = actions.add_parser("rm", help="remove QEMUs")
    which = rm.add_mutually_exclusive_group(required=True)
    which.add_argument("name", metavar="NAME", nargs="?", help="a name, or the beginning of a digest")
    which.add_argument("--old", action="store_true", help="all that a lab would not run in any more")


def qemu(arguments: argparse.Namespace) -> int:
    """Do what the words say, and return the exit status."""
    return {"get": _get, "ls": _ls, "rm": _rm}[arguments.action](arguments)


def _get(arguments: argparse.Namespace) -> int:
    from fame_lab.host import qemu_cache

    made = qemu_cache.update() if arguments.newer else qemu_cache.ensure()
    print(f"{made.name}: QEMU {dotted(made.qemu.version)} {made.qemu.packaged}, at {made.qemu.path}")
    return 0


def _ls(arguments: argparse.Namespace) -> int:
    from fame_lab.host import qemu_cache

    found, current, used = qemu_cache.cached(), qemu_cache.current(), _in_use()
    if arguments.json:
        told = [
            {
                "name": each.name,
                "digest": each.digest,
                "version": dotted(each.qemu.version),
                "packaged": each.qemu.packaged,
                "path": str(each.qemu.path),
                "bytes": each.size,
                "current": each == current,
                "in_use": each.qemu.path in used,
                "suite": each.suite,
                "fetched": each.fetched,
            }
            for each in found
        ]
        print(json.dumps(told, indent=1))
        return 0
    rows = [("NAME", "DIGEST", "SIZE", "QEMU", "SUITE", "STATE", "PATH")]
    for each in found:
        state = "in use" if each.qemu.path in used else "current" if each == current else "old"
        size, path = f"{each.size / MIB:.0f}M", str(each.qemu.path)
        rows.append((each.name, each.digest[:12], size, dotted(each.qemu.version), each.suite, state, path))
    output.show_table(rows)
    return 0


def _rm(arguments: argparse.Namespace) -> int:
    from fame_lab.host import qemu_cache

    for gone in qemu_cache.remove(None if arguments.old else arguments.name, _in_use()):
        print(f"{gone.name} {gone.digest[:12]} is gone")
    return 0


def _in_use() -> set[Path]:
    """Return the programs that the nodes of running labs run in."""
    from fame_lab.host.libvirt import domain
    from fame_lab.host.libvirt.connection import connect

    connection = connect()
    try:
        return {each.record.qemu.path for each in domain.find(connection) if each.record.qemu is not None}
    finally:
        connection.close()
