"""Call `fame-lab`: as a process, or in this one, which spares the start of another Python."""

import contextlib
import io
import signal
import subprocess
import sys

from fame_lab.cli import main

__all__ = ["FAME_LAB", "call", "call_here"]

FAME_LAB = [sys.executable, "-m", "fame_lab"]


def call(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command line in a process of its own."""
    return subprocess.run([*FAME_LAB, *words], capture_output=True, text=True, timeout=240, check=False)


def call_here(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command line in this process; return the same as :func:`call`, but for the log."""
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main.main(words)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())
