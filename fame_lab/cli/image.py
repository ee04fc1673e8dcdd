"""The command ``image``: build, list, remove and export guest images."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fame_lab.cli import output as shown
from fame_lab.cli.arguments import Command, as_path, json_option, option
from fame_lab.cli.cached import add_rm, running_nodes
from fame_lab.core.jobs.progress import current, job
from fame_lab.core.sizes import MIB
from fame_lab.errors import SpecError

if TYPE_CHECKING:
    from fame_lab.guest.images.catalog import CachedImage

__all__ = ["image"]


@click.group(no_args_is_help=False, subcommand_metavar="ACTION [ARGS]...")
def image() -> None:
    """Build, list, remove and export guest images."""


@image.command("build", cls=Command)
@click.argument("name", default="debian", metavar="[NAME]")
@option("--packages", "A,B", "Further ones, such as gcc,libc6-dev; by default none.", default="")
def _build(name: str, packages: str) -> int:
    """Build one, unless it is there.

    NAME is debian, the default, or debian-SOMETHING.
    """
    from fame_lab.guest.images import appliance, debian

    if name == "appliance":
        if packages:
            raise SpecError("the appliance takes no further packages", hint="build 'debian-...' with them")
        small = appliance.ensure()
        print(f"appliance: Linux {small.kernel_release}, at {small.kernel.parent}")
        return 0
    built = debian.build(name, [word for word in packages.split(",") if word])
    print(f"{built.name}: Linux {built.kernel_release}, {len(built.installed)} packages, at {built.disk}")
    return 0


@image.command("ls", cls=Command)
@json_option
def _ls(as_json: bool) -> int:
    """List what is in the cache."""
    from fame_lab.guest.images import catalog

    images = catalog.cached()
    in_use = _in_use()
    if as_json:
        entries = [
            {
                "name": each.name,
                "digest": each.digest,
                "directory": str(each.directory),
                "bytes": each.size,
                "current": each.current,
                "in_use": each.digest in in_use,
                "kernel_release": each.kernel_release,
                "packages": list(each.packages),
                "built": each.built or None,
            }
            for each in images
        ]
        print(json.dumps(entries, indent=1))
        return 0
    rows = [("NAME", "DIGEST", "SIZE", "KERNEL", "PACKAGES", "STATE")]
    for each in images:
        state = "in use" if each.digest in in_use else "current" if each.current else "old"
        size = f"{each.size / MIB:.0f}M"
        packages = ",".join(each.packages) or "-"
        rows.append((each.name, each.digest[:12], size, each.kernel_release, packages, state))
    shown.show_table(rows)
    return 0


def _remove(name: str | None) -> Iterable[CachedImage]:
    from fame_lab.guest.images import catalog

    return catalog.remove(name, _in_use())


add_rm(image, "images", _remove)


@image.command("export", cls=Command)
@click.argument("name", default="debian", metavar="[NAME]")
@option("--output", "DIR", "Not there yet.", type=as_path, required=True)
@option("--authorized-key", "FILE", "Public key that may log in; by default yours.", type=as_path)
def _export(name: str, output: Path, authorized_key: Path | None) -> int:
    """Write one for plain QEMU and virt-manager.

    NAME is debian, the default, or debian-SOMETHING.
    """
    from fame_lab.guest.images import debian, export

    keys = export.authorized_keys(authorized_key)
    if output.exists():
        raise SpecError(f"--output {str(output)!r} is there", hint="give a directory that is not there yet")
    with job(f"export {name}", unit="step"):
        paths = export.export(debian.ensure(name), output, keys, current().describe)
    print(*paths, sep="\n")
    return 0


def _in_use() -> set[str]:
    """Return the digests of what the nodes of running labs booted."""
    return {each.image for each in running_nodes()}
