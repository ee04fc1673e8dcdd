"""The command ``xml``: a lab's nodes for elsewhere, printed or as a folder."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from fame_lab.cli.arguments import Command, as_path, option
from fame_lab.cli.spec_args import spec_of, spec_options
from fame_lab.errors import SpecError

__all__ = ["xml"]


@click.command(
    cls=Command,
    epilog="With --output, a folder: XML, scripts, kernel, keys for SSH, and a README of how to start. "
    "Without, nodes are got into by their serial lines. --accel auto is KVM if it works here.",
)
@spec_options
@click.option("--emulator", "qemu", metavar="QEMU", help="A path, or backports; by default the host's.")
@option("--output", "DIR", "Not there yet; by default it is printed.", type=as_path)
@option("--node", "NODE", "This one; may be given again; by default all.", multiple=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(("domain", "qemu")),
    help="domain: libvirt's XML, the default; qemu: command lines of QEMU, for a shell.",
)
@click.option("--qemu", "command_lines", is_flag=True, hidden=True)
@option(
    "--ssh-port", "PORT", "Of node01 on 127.0.0.1, then upwards; by default 2201.", type=int, default=2201
)
@click.option("--json", "as_json", is_flag=True, help="Print it by the nodes' names, for a program.")
def xml(
    spec: Path | None,
    output: Path | None,
    node: tuple[str, ...],
    form: str | None,
    command_lines: bool,
    ssh_port: int,
    as_json: bool,
    **fields: Any,
) -> int:
    """Print a lab for elsewhere: libvirt's XML, or QEMU's command lines.

    The lab is called NAME, or as the file says.
    """
    if command_lines:
        print("fame-lab: xml --qemu is xml --format qemu now", file=sys.stderr)
        form = form or "qemu"
    lab = spec_of(spec, fields)
    if output is not None:
        if node or form or as_json:
            raise SpecError(
                "--output has everything of every node", hint="leave out --node, --format and --json"
            )
        print(lab.export(output, ssh_port=ssh_port) / "README")
        return 0
    if unknown := sorted(set(node) - set(lab.node_names)):
        names = ", ".join(map(repr, unknown))
        raise SpecError(f"{lab.name} has no node {names}: they are node01 to {lab.node_names[-1]}")
    to_text = lab.to_qemu_args if form == "qemu" else lab.to_xml
    texts = to_text(ssh_port=ssh_port)
    selection = {name: text for name, text in texts.items() if not node or name in node}
    if as_json:
        print(json.dumps(selection, indent=1))
        return 0
    for text in selection.values():
        print(text if isinstance(text, str) else shlex.join(text))
    return 0
