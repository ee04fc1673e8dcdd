"""The command ``trace``: count accesses to FAM, while a command runs or for a time."""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fame_lab.cli import output as shown
from fame_lab.cli.arguments import Command, as_path, check_picture, json_option, option, plot_option
from fame_lab.cli.run import command, no_stdin_option, node_option, outcome, status
from fame_lab.core.jobs.progress import job
from fame_lab.errors import FameError, SpecError
from fame_lab.traffic.transactions.cache import ATOMICS, COHERENCE, Cache

if TYPE_CHECKING:
    from fame_lab.guest.ssh.run_result import RunResult

__all__ = ["trace"]

_INTERRUPTED = 130


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise click.BadParameter(f"{text!r} is not a number of seconds above 0")
    return seconds


class _Trace(Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what comes after ``--`` for the nodes; only there can a command be."""
        end = args.index("--") if "--" in args else len(args)
        ctx.params["words"] = args[end + 1 :]
        return super().parse_args(ctx, args[:end])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]


@click.command(
    cls=_Trace, epilog="The recording ends with COMMAND, or after the seconds given, or by Ctrl-C."
)
@click.argument("name", metavar="NAME")
@node_option
@no_stdin_option
@option("--seconds", "S", "Without a command: how long; by default until Ctrl-C.", type=_seconds)
@option("--granule", "SIZE", "Bytes counted as one, 64 to 64K; by default 4K.", default="4K")
@option("--cache", "SIZE", "Count the transactions of nodes with a cache of that size; by default not.")
@option("--ways", "N", "Ways of that cache; by default 16.", type=int)
@click.option("--coherence", type=click.Choice(COHERENCE), help="Of the caches; by default hardware.")
@click.option("--atomics", type=click.Choice(ATOMICS), help="Where atomics are done; by default cached.")
@option("--order", "FILE", "Keep the accesses in their order, as Parquet; by default not.", type=as_path)
@option("--output", "DIR", "Save the counts there; by default they are printed.", type=as_path)
@plot_option
@json_option
def trace(
    name: str,
    node: tuple[str, ...],
    no_stdin: bool,
    seconds: float | None,
    granule: str,
    cache: str | None,
    ways: int | None,
    coherence: str | None,
    atomics: str | None,
    order: Path | None,
    output: Path | None,
    plot: Path | None,
    as_json: bool,
    words: list[str],
) -> int:
    """Count accesses to FAM in a lab that was started with --trace."""
    for flag, path in (("--output", output), ("--order", order)):
        if path is not None and path.exists():
            raise SpecError(f"{flag} {str(path)!r} is there", hint="give a name that is not there yet")
        if path is not None and not (parent := path.absolute().parent).is_dir():
            raise SpecError(f"{flag} is {str(path)!r}: there is no directory {str(parent)!r}")
    check_picture(plot)
    line = command(words)
    if line and seconds is not None:
        raise SpecError("--seconds and a command say two ends for one recording", hint="give one of them")
    if node and not line:
        raise SpecError(
            "--node is of a command, and none is given", hint="give one after --, or leave it out"
        )
    own = _cache(cache, ways=ways, coherence=coherence, atomics=atomics)
    from fame_lab.lab.lab import Lab

    lab = Lab.attach(name)
    results: dict[str, RunResult | FameError] = {}
    exit_status = 0
    with lab.record(source="trace", granule=granule, order=order, cache=own) as recording:
        try:
            if line:
                results = outcome(lab, line[0], node, stdin=not no_stdin)
                exit_status = status(results)
            else:
                print("recording; Ctrl-C ends it", file=sys.stderr, flush=True)
                _wait(seconds)
        except KeyboardInterrupt:
            # What was recorded so far is not to be lost. Without a command it is what was asked for.
            exit_status = _INTERRUPTED if line else 0
    traffic = recording.traffic()
    if output is not None:
        traffic.save(output)
    if plot is not None:
        traffic.plot("overview" if own is None else "transactions").savefig(plot)
    if as_json:
        sums = {"runs": shown.runs_as_dict(results), "traffic": shown.traffic_as_dict(traffic)}
        print(json.dumps(sums, indent=1))
    else:
        shown.show_runs(results)
        print(shown.traffic_in_words(traffic))
    return exit_status


def _cache(size: str | None, **fields: int | str | None) -> Cache | None:
    given: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    if size is not None:
        try:
            return Cache(size, **given)
        except SpecError as error:
            if error.message.startswith("size is "):  # the option of its size is --cache
                error.reword(f"--cache{error.message.removeprefix('size')}", error.hint)
            raise
    if given:
        raise SpecError(f"--{next(iter(given))} is of a cache, and none is given", hint="give --cache SIZE")
    return None


def _wait(seconds: float | None) -> None:
    """Wait for the seconds; without any, until a signal comes."""
    never = threading.Event()
    if seconds is None:
        never.wait()
        return
    began = time.monotonic()
    with job("recording", total=math.ceil(seconds), unit="s") as recording:
        for second in range(1, math.ceil(seconds) + 1):
            never.wait(max(0.0, began + min(second, seconds) - time.monotonic()))
            recording.step()
