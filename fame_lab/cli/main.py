"""The command line: a face of the public surface, and nothing that cannot be done from Python too.

Exit status: 0 done; 1 it could not be done, and stderr says why; 2 the words given make no sense; 130
interrupted. ``run`` and ``ssh`` give the status of what they ran.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType

import click

from fame_lab.core.sanitize import plain
from fame_lab.core.version import __version__
from fame_lab.errors import FameError, HostError

__all__ = ["COMMANDS", "group", "main"]

_INTERRUPTED = 130
#: Characters of a complaint about words that make no sense.
_MAX_MESSAGE = 1000


#: In the order of a first session; each is in the module of its name.
COMMANDS = (
    *("doctor", "up", "xml", "ls", "ssh", "run", "put", "get", "restart", "down", "probe", "trace"),
    *("image", "qemu", "compare", "report", "rerun", "sweep"),
)


class _Group(click.Group):
    def list_commands(self, _: click.Context) -> list[str]:
        return [*COMMANDS]

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Import a command's module; the others are left alone."""
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"fame_lab.cli.{name}"), name)
        return command


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(__version__, message="fame_lab %(version)s")
@click.option("--verbose", is_flag=True, help="Log on stderr what goes on; by default warnings alone.")
def group(verbose: bool) -> None:
    """Nodes around one fabric-attached memory."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the words say, and return the exit status."""
    # What a guest says may not be in the terminal's character set: that is not to end us half-way.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # An end asked for is a way out like any other: what was begun is put away.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _leave)
    try:
        # Not group.main(), which has statuses of its own.
        with group.make_context("fame-lab", list(sys.argv[1:] if argv is None else argv)) as context:
            status: int = group.invoke(context)
        _flush()
    except click.exceptions.Exit as end:  # of --help and --version
        status = end.exit_code
    except click.UsageError as error:
        status = _explain(error)
    except FameError as error:
        status = _complain(error.explanation())
    except (KeyboardInterrupt, click.Abort):  # Abort is how a question ends by Ctrl-C or Ctrl-D
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


def _explain(error: click.UsageError) -> int:
    """Print what is wrong with the words: short, and steering no terminal, whatever was typed."""
    if error.ctx is not None:
        print(f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help'.", file=sys.stderr)
    message = plain(error.format_message(), keep="")
    _complain(message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}…")
    return error.exit_code


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
