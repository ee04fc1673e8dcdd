"""The command ``probe``: one measurement in a running lab."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from fame_lab.cli.arguments import Command, as_path, option, parameter_option
from fame_lab.errors import SpecError

__all__ = ["probe"]


class _Probe(Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words for the help, which is printed while they are read."""
        ctx.meta["words"] = [word for word in args if not word.startswith("-")]
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Add the parameters of the probe that is named, as its ``run`` declares them."""
        if len(words := ctx.meta["words"]) < 2:
            return
        from fame_lab.probes.common.parameters import Parameter, parameters  # it brings all that measures

        def takes(each: Parameter) -> str:
            return f"{each.takes}; by default {each.text}" if each.text else each.takes

        try:
            entries = [(each.name, f"{takes(each)}. {each.words}") for each in parameters(words[1])]
        except SpecError as error:
            raise click.UsageError(str(error), ctx) from error
        with formatter.section(f"Parameters of {words[1]}, each by -p NAME=VALUE"):
            formatter.write_dl(entries)


@click.command(cls=_Probe, meant="-p NAME=VALUE for a probe's parameter")
@click.argument("name", metavar="NAME")
@click.argument("probe", metavar="PROBE")
@parameter_option("Of the probe, by default its own; may be given again: -p working_sets=4K,64K.")
@option("--output", "DIR", "Save the result there; by default it is printed.", type=as_path)
def probe(name: str, probe: str, parameters: tuple[tuple[str, Any], ...], output: Path | None) -> int:
    """Measure in a running lab.

    PROBE is such as chase; a wrong name lists all. NAME PROBE --help shows what the probe takes.
    """
    from fame_lab.lab.lab import Lab

    if output is not None and output.exists():
        raise SpecError(f"--output {str(output)!r} is there", hint="give a directory that is not there yet")
    result = Lab.attach(name).probe(probe, **dict(parameters))
    print(result.dataset if output is None else result.save(output))
    if result.failed:
        print(f"fame-lab: {probe} failed: {result.failed}", file=sys.stderr)
    return 1 if result.failed else 0
