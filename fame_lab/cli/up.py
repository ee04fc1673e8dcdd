"""The command ``up``: start a lab that stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fame_lab.cli.arguments import Command
from fame_lab.cli.spec_args import spec_of, spec_options
from fame_lab.errors import HostError

__all__ = ["up"]


@click.command(cls=Command)
@spec_options
@click.option("--qemu", "--emulator", metavar="QEMU", help="A path, or backports; by default the host's.")
def up(spec: Path | None, **fields: Any) -> int:
    """Start a lab and leave it running.

    The lab is called NAME, or as the file says.
    """
    from fame_lab.lab.lab import Lab

    lab = Lab(spec_of(spec, fields)).start()
    fate = ", which takes its FAM file with it" if lab.fam.created and lab.spec.fam_path else ""
    lab.detach()
    try:
        print(f"{lab.spec}; to end it: fame-lab down {lab.spec.name}{fate}", flush=True)
    except OSError as error:
        raise HostError(
            f"{lab.spec.name} runs, and its output cannot be written: {error.strerror}; to end it: "
            f"fame-lab down {lab.spec.name}"
        ) from error
    return 0
