"""What `fame-lab put` and `get` do: files to and from nodes."""

from __future__ import annotations

import argparse
import sys
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from fame_lab.core.jobs.progress import current, job
from fame_lab.core.sanitize import plain
from fame_lab.errors import FameError, LabError

if TYPE_CHECKING:
    from fame_lab.lab.node import Node

__all__ = ["add_arguments", "get", "misused", "put"]

_LEAVE = "A path that begins with a dash comes after --."


def add_arguments(words: Any) -> None:
    """Add ``put`` and ``get``."""
    put = words.add_parser(
        "put",
        help="copy a file into nodes",
        usage="fame-lab put NAME [NODE] LOCAL REMOTE [--node NODE]",
        epilog=f"Into all nodes, unless one is named. In a directory the file has its own name. {_LEAVE}",
    )
    get = words.add_parser(
        "get",
        help="copy a file out of a node",
        usage="fame-lab get NAME [NODE] REMOTE LOCAL [--most SIZE]",
        epilog=f"Where a lab has one node, it need not be named. {_LEAVE}",
    )
    for each in (put, get):
        each.add_argument("name", metavar="NAME")
        each.add_argument("--node", action="append", metavar="NODE", help="may be given again, for put")
    put.add_argument("paths", nargs="+", metavar="[NODE] LOCAL REMOTE", help="what is copied, and where to")
    put.set_defaults(command="put")
    get.add_argument("paths", nargs="+", metavar="[NODE] REMOTE LOCAL", help="what is copied, and where to")
    get.add_argument("--most", default="64M", metavar="SIZE", help="that the file may have; by default 64M")
    get.set_defaults(command="get")


def misused(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the number of words; nothing if it is right."""
    given = len(arguments.paths)
    if given == 2 or (given == 3 and not arguments.node):
        return ""
    return f"{arguments.command} takes a node or none, and two paths: {given} words follow the lab's name" + (
        " and --node" if arguments.node else ""
    )


def put(arguments: argparse.Namespace) -> int:
    """Copy a file into the nodes that are named, or into all."""
    from fame_lab.lab.lab import Lab

    lab = Lab.attach(arguments.name)
    *named, local, remote = arguments.paths
    names = named or arguments.node
    nodes = [lab.node(name) for name in dict.fromkeys(names)] if names else list(lab.nodes)

    def outcome_on(node: Node) -> PurePosixPath | FameError:
        try:
            return node.put(local, remote)
        except FameError as error:
            return error
        finally:
            current().step(f"{node.name} is done")

    with job("put", total=len(nodes), unit="node"):
        outcome = lab.each(nodes, outcome_on)
    for name, where in outcome.items():
        if not isinstance(where, FameError):
            print(f"{name}: {plain(str(where), keep='')}")
    failures = [each for each in outcome.values() if isinstance(each, FameError)]
    # What is wrong on this host is wrong for each node, and said once.
    for words in dict.fromkeys(map(str, failures)):
        print(f"fame-lab: {plain(words)}", file=sys.stderr)
    return 1 if failures else 0


def get(arguments: argparse.Namespace) -> int:
    """Copy a file out of one node."""
    from fame_lab.lab.lab import Lab

    lab = Lab.attach(arguments.name)
    *named, remote, local = arguments.paths
    names = named or arguments.node or [node.name for node in lab.nodes]
    if len(names) > 1:
        raise LabError(f"get takes one node: name one of {', '.join(names)}")
    with job("get", unit="file"):
        where = lab.node(names[0]).get(remote, local, most=arguments.most)
    print(plain(str(where), keep=""))
    return 0
