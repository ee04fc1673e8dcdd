"""What `fame-lab image` does: build, list, remove and export guest images."""

from __future__ import annotations

import argparse
import json

from fame_lab.cli import output
from fame_lab.cli.arguments import as_path
from fame_lab.core.jobs.progress import current, job
from fame_lab.core.sizes import MIB
from fame_lab.errors import SpecError

__all__ = ["add_arguments", "image"]


def add_arguments(words: argparse.ArgumentParser) -> None:
    """Add the words after ``image``."""
    actions = words.add_subparsers(required=True, metavar="ACTION", dest="action")
    build = actions.add_parser("build", help="build one, unless it is there")
    build.add_argument(
        "name", metavar="NAME", nargs="?", default="debian", help="debian, or debian-SOMETHING"
    )
    build.add_argument("--packages", default="", metavar="A,B", help="further ones, such as gcc,libc6-dev")
    ls = actions.add_parser("ls", help="what is in the cache")
    ls.add_argument("--json", action="store_true")
    rm = actions.add_parser("rm", help="remove images")
    which = rm.add_mutually_exclusive_group(required=True)
    which.add_argument("name", metavar="NAME", nargs="?", help="a name, or the beginning of a digest")
    which.add_argument("--old", action="store_true", help="all that a lab would not boot any more")
    export = actions.add_parser("export", help="write one for plain QEMU and virt-manager")
    export.add_argument("name", metavar="NAME", nargs="?", default="debian")
    export.add_argument("--output", type=as_path, required=True, metavar="DIR")
    export.add_argument(
        "--authorized-key",
        type=as_path,
        metavar="FILE",
        help="public key that may log in; by default yours",
    )


def image(arguments: argparse.Namespace) -> int:
    """Do what the words say, and give the exit status."""
    return {"build": _build, "ls": _ls, "rm": _rm, "export": _export}[arguments.action](arguments)


def _build(arguments: argparse.Namespace) -> int:
    from fame_lab.guest.images import appliance, debian

    if arguments.name == "appliance":
        if arguments.packages:
            raise SpecError("the appliance takes no further packages: build 'debian-...' with them")
        made = appliance.ensure()
        print(f"appliance: Linux {made.kernel_release}, at {made.kernel.parent}")
        return 0
    packages = [word for word in arguments.packages.split(",") if word]
    built = debian.build(arguments.name, packages)
    print(f"{built.name}: Linux {built.kernel_release}, {len(built.installed)} packages, at {built.disk}")
    return 0


def _ls(arguments: argparse.Namespace) -> int:
    from fame_lab.guest.images import catalog

    found = catalog.cached()
    used = _in_use()
    if arguments.json:
        told = [
            {
                "name": each.name,
                "digest": each.digest,
                "directory": str(each.directory),
                "bytes": each.size,
                "current": each.current,
                "in_use": each.digest in used,
                "kernel_release": each.kernel_release,
                "packages": list(each.packages),
                "built": each.built or None,
            }
            for each in found
        ]
        print(json.dumps(told, indent=1))
        return 0
    rows = [("NAME", "DIGEST", "SIZE", "KERNEL", "PACKAGES", "STATE")]
    for each in found:
        state = "in use" if each.digest in used else "current" if each.current else "old"
        size = f"{each.size / MIB:.0f}M"
        packages = ",".join(each.packages) or "-"
        rows.append((each.name, each.digest[:12], size, each.kernel_release, packages, state))
    output.show_table(rows)
    return 0


def _rm(arguments: argparse.Namespace) -> int:
    from fame_lab.guest.images import catalog

    for gone in catalog.remove(None if arguments.old else arguments.name, _in_use()):
        print(f"{gone.name} {gone.digest[:12]} is gone")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from fame_lab.guest.images import debian, export

    keys = export.authorized_keys(arguments.authorized_key)
    if arguments.output.exists():
        raise SpecError(
            f"--output {str(arguments.output)!r} is there: give a directory that is not there yet"
        )
    with job(f"export {arguments.name}", unit="step"):
        built = debian.ensure(arguments.name)
        made = export.export(built, arguments.output, keys, current().describe)
    for path in made:
        print(path)
    return 0


def _in_use() -> set[str]:
    """Return the digests of what the nodes of running labs booted."""
    from fame_lab.host.libvirt import domain
    from fame_lab.host.libvirt.connection import connect

    connection = connect()
    try:
        return {found.record.image for found in domain.find(connection)}
    finally:
        connection.close()
