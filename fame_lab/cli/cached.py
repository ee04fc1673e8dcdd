"""Parts that `image` and `qemu` share, which both keep what lies in the cache."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

import click

from fame_lab.cli.arguments import Command

if TYPE_CHECKING:
    from fame_lab.host.libvirt.metadata import NodeRecord

__all__ = ["add_rm", "running_nodes"]


class _Cached(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...


def running_nodes() -> list[NodeRecord]:
    """Return the records of all nodes that run here: what they use is not removed."""
    from fame_lab.host.libvirt import domain
    from fame_lab.host.libvirt.connection import connect

    with contextlib.closing(connect()) as connection:
        return [each.record for each in domain.find(connection)]


def add_rm(group: click.Group, what: str, remove: Callable[[str | None], Iterable[_Cached]]) -> None:
    """Add the action `rm` to a group.

    Parameters
    ----------
    group : click.Group
    what : str
        Several of what it removes, such as ``images``.
    remove : callable
        Takes a name, or the beginning of a digest; with None it removes the old ones. Returns those removed.
    """

    @group.command("rm", cls=Command, help=f"Remove {what}.\n\nNAME is a name, or the beginning of a digest.")
    @click.argument("name", required=False, metavar="[NAME]")
    @click.option("--old", is_flag=True, help="All that a lab would not use any more.")
    @click.pass_context
    def _rm(context: click.Context, name: str | None, old: bool) -> int:
        if old == (name is not None):
            context.fail(f"{group.name} rm takes NAME or --old, one of the two")
        for each in remove(name):
            print(f"{each.name} {each.digest[:12]} is gone")
        return 0
