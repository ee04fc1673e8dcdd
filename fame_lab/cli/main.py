"""The command line: a face of the public surface, and nothing that cannot be done from Python too.

Exit status: 0 done; 1 it could not be done, and stderr says why; 2 the words given make no sense; 130
interrupted. ``run`` and ``ssh`` give the status of what they ran.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from fame_lab.cli import compare, files, image, output, qemu, report, run, sweep
from fame_lab.cli.arguments import check_picture
from fame_lab.cli.parser import parse
from fame_lab.core.jobs.progress import job
from fame_lab.core.sanitize import plain
from fame_lab.errors import FameError, HostError, LabError, SpecError

if TYPE_CHECKING:
    from fame_lab.guest.ssh.run_result import RunResult

__all__ = ["main"]

_INTERRUPTED = 130
_LOST = 255  # what OpenSSH's client gives when it is the connection that failed


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the words say, and return the exit status."""
    arguments = parse(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(
        level=logging.DEBUG if arguments.verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )
    # What a guest says may not be in the terminal's character set: that is not to end us half-way.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # An end asked for is a way out like any other: what was begun is put away.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _leave)
    try:
        status = _COMMANDS[arguments.command](arguments)
        _flush()
    except FameError as error:
        status = _complain(str(error))
    except KeyboardInterrupt:
        _complain("interrupted")
        status = _INTERRUPTED
    except BrokenPipeError:
        status = 1  # whoever read our output has seen enough
    except OSError as error:
        words = error.strerror or str(error)
        # Without a name it is most likely of what was printed, if Python is told not to buffer that.
        unnamed = f"{words}, perhaps where the output goes"
        status = _complain(unnamed if error.filename is None else f"{error.filename}: {words}")
    try:
        _flush()
    except (HostError, OSError):
        # Or Python would try again at its exit, and complain.
        with contextlib.suppress(OSError), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return status


def _complain(words: str) -> int:
    print(f"fame-lab: {plain(words)}", file=sys.stderr)
    return 1


def _flush() -> None:
    if sys.stdout is None:  # it was closed: `>&-`
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise HostError(f"the output cannot be written: {error.strerror}") from error


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


# --- What each word does ---


def _doctor(arguments: argparse.Namespace) -> int:
    from fame_lab.host.doctor.doctor import doctor

    diagnosis = doctor()
    print(json.dumps(diagnosis.to_dict(), indent=1) if arguments.json else diagnosis)
    return 0 if diagnosis.can_run else 1


def _up(arguments: argparse.Namespace) -> int:
    from fame_lab.cli.spec_args import spec_of
    from fame_lab.lab.lab import Lab

    lab = Lab(spec_of(arguments)).start()
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


def _xml(arguments: argparse.Namespace) -> int:
    from fame_lab.cli.xml import xml

    return xml(arguments)


def _ls(arguments: argparse.Namespace) -> int:
    from fame_lab.lab.lab import Lab

    found = Lab.list()
    if arguments.json:
        print(json.dumps([output.lab_as_dict(entry) for entry in found], indent=1))
        return 0
    output.show_table([("NAME", "NODES", "FAM", "STATE"), *(output.lab_row(entry) for entry in found)])
    return 0


def _trace(arguments: argparse.Namespace) -> int:
    from fame_lab.lab.lab import Lab

    for path in filter(None, (arguments.output, arguments.order)):
        if path.exists():
            raise SpecError(f"{str(path)!r} is there: give a name that is not there yet")
        if not path.absolute().parent.is_dir():
            raise SpecError(f"{str(path)!r}: there is no directory {str(path.absolute().parent)!r}")
    check_picture(arguments.plot)
    if arguments.words and arguments.seconds is not None:
        raise SpecError("--seconds and a command say two ends for one recording: give one of them")
    lab = Lab.attach(arguments.name)
    outcome: dict[str, RunResult | FameError] = {}
    status = 0
    with lab.record(source="trace", granule=arguments.granule, order=arguments.order) as recording:
        try:
            if arguments.words:
                outcome = run.outcome(lab, arguments, None)
                status = run.status(outcome)
            else:
                print("recording; Ctrl-C ends it", file=sys.stderr, flush=True)
                _wait(arguments.seconds)
        except KeyboardInterrupt:
            # What was recorded so far is not to be lost. Without a command it is what was asked for.
            status = _INTERRUPTED if arguments.words else 0
    traffic = recording.traffic()
    if arguments.output is not None:
        traffic.save(arguments.output)
    if arguments.plot is not None:
        traffic.plot().savefig(arguments.plot)
    if arguments.json:
        told = {"runs": output.runs_as_dict(outcome), "traffic": output.traffic_as_dict(traffic)}
        print(json.dumps(told, indent=1))
    else:
        output.show_runs(outcome)
        print(output.traffic_in_words(traffic))
    return status


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


def _restart(arguments: argparse.Namespace) -> int:
    from fame_lab.lab.lab import Lab

    lab = Lab.attach(arguments.name)
    nodes = [lab.node(name) for name in arguments.nodes]
    with job("restart", total=len(nodes), unit="node") as running:
        for node in nodes:
            node.restart(tell=lambda name, stage: running.describe(f"{name} {stage}"))
            running.step()
    print(*(f"{node.name} has booted anew" for node in nodes), sep="\n")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    from fame_lab.lab.lab import Lab

    found = {entry.name: entry for entry in Lab.list()}
    if arguments.orphans:
        for name, entry in found.items():
            if entry.end_if_orphan():
                print(f"{name} is gone")
        return 0
    names = list(found) if arguments.all else arguments.names
    if unknown := [name for name in names if name not in found]:
        there = ", ".join(found) or "none"
        raise LabError(f"there is no lab named {', '.join(map(repr, unknown))}; here are: {there}")
    for name in names:
        found[name].end()
        print(f"{name} is gone")
    return 0


def _probe(arguments: argparse.Namespace) -> int:
    from fame_lab.lab.lab import Lab

    if arguments.output is not None and arguments.output.exists():
        raise SpecError(
            f"--output {str(arguments.output)!r} is there: give a directory that is not there yet"
        )
    result = Lab.attach(arguments.name).probe(arguments.probe, **dict(arguments.parameter))
    if arguments.output is not None:
        print(result.save(arguments.output))
    else:
        print(result.dataset)
    if result.failed:
        print(f"fame-lab: {arguments.probe} failed: {result.failed}", file=sys.stderr)
    return 1 if result.failed else 0


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "compare": compare.compare,
    "doctor": _doctor,
    "down": _down,
    "get": files.get,
    "image": image.image,
    "qemu": qemu.qemu,
    "ls": _ls,
    "probe": _probe,
    "put": files.put,
    "report": report.report,
    "rerun": report.rerun,
    "restart": _restart,
    "run": run.run,
    "ssh": run.ssh,
    "sweep": sweep.sweep,
    "trace": _trace,
    "up": _up,
    "xml": _xml,
}
