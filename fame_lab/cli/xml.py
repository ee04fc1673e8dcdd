"""The word ``xml``: a lab's nodes for elsewhere, printed or as a folder."""

from __future__ import annotations

import argparse
import json
import shlex

from fame_lab.cli.spec_args import spec_of
from fame_lab.errors import SpecError

__all__ = ["xml"]


def xml(arguments: argparse.Namespace) -> int:
    """Print each node's domain, or command line of QEMU; or write a folder, and print where it is."""
    spec = spec_of(arguments)
    if arguments.output is not None:
        if arguments.node or arguments.command_lines or arguments.json:
            raise SpecError("--output has everything of every node: leave out --node, --qemu and --json")
        print(spec.export(arguments.output, ssh_port=arguments.ssh_port) / "README")
        return 0
    if unknown := sorted(set(arguments.node) - set(spec.node_names)):
        named = ", ".join(map(repr, unknown))
        raise SpecError(f"{spec.name} has no node {named}: they are node01 to {spec.node_names[-1]}")
    written: dict[str, str] | dict[str, list[str]]
    if arguments.command_lines:
        written = spec.to_qemu_args(ssh_port=arguments.ssh_port)
    else:
        written = spec.to_xml(ssh_port=arguments.ssh_port)
    chosen = {node: what for node, what in written.items() if not arguments.node or node in arguments.node}
    if arguments.json:
        print(json.dumps(chosen, indent=1))
        return 0
    for what in chosen.values():
        print(what if isinstance(what, str) else shlex.join(what))
    return 0
