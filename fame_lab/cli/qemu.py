"""The command ``qemu``: fetch, list and remove QEMUs beside the host's own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fame_lab.cli import output
from fame_lab.cli.arguments import Command, json_option
from fame_lab.cli.cached import add_rm, running_nodes
from fame_lab.core.sizes import MIB
from fame_lab.spec.validation import QEMU_NAMES

if TYPE_CHECKING:
    from fame_lab.host.qemu_cache import CachedQemu

__all__ = ["qemu"]


@click.group(no_args_is_help=False, subcommand_metavar="ACTION [ARGS]...")
def qemu() -> None:
    """Fetch, list and remove a QEMU beside the host's."""


@qemu.command("get", cls=Command)
@click.argument("name", type=click.Choice(QEMU_NAMES), default=QEMU_NAMES[0], metavar="[NAME]")
@click.option("--newer", is_flag=True, help="Also where an older one is there.")
def _get(name: str, newer: bool) -> int:  # noqa: ARG001 - there is one name
    """Fetch the one of Debian's backports, unless it is there.

    NAME is backports, the default.
    """
    from fame_lab.host import qemu_cache
    from fame_lab.host.qemu import dotted

    cached = qemu_cache.update() if newer else qemu_cache.ensure()
    print(f"{cached.name}: QEMU {dotted(cached.qemu.version)} {cached.qemu.packaged}, at {cached.qemu.path}")
    return 0


@qemu.command("ls", cls=Command)
@json_option
def _ls(as_json: bool) -> int:
    """List what is in the cache."""
    from fame_lab.host import qemu_cache
    from fame_lab.host.qemu import dotted

    cached, current, in_use = qemu_cache.cached(), qemu_cache.current(), _in_use()
    if as_json:
        entries = [
            {
                "name": each.name,
                "digest": each.digest,
                "version": dotted(each.qemu.version),
                "packaged": each.qemu.packaged,
                "path": str(each.qemu.path),
                "bytes": each.size,
                "current": each == current,
                "in_use": each.qemu.path in in_use,
                "suite": each.suite,
                "fetched": each.fetched,
            }
            for each in cached
        ]
        print(json.dumps(entries, indent=1))
        return 0
    rows = [("NAME", "DIGEST", "SIZE", "QEMU", "SUITE", "STATE", "PATH")]
    for each in cached:
        state = "in use" if each.qemu.path in in_use else "current" if each == current else "old"
        size, path = f"{each.size / MIB:.0f}M", str(each.qemu.path)
        rows.append((each.name, each.digest[:12], size, dotted(each.qemu.version), each.suite, state, path))
    output.show_table(rows)
    return 0


def _remove(name: str | None) -> Iterable[CachedQemu]:
    from fame_lab.host import qemu_cache

    return qemu_cache.remove(name, _in_use())


add_rm(qemu, "QEMUs", _remove)


def _in_use() -> set[Path]:
    """Return the programs that the nodes of running labs run in."""
    return {each.qemu.path for each in running_nodes() if each.qemu is not None}
