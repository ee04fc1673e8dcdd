"""Output of a program that should be a QEMU and may be anything: in bounded time, of bounded size."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from fame_lab.errors import HostError
from fame_lab.host.qemu_user import QemuUser, run_as

__all__ = ["INSTEAD", "PROGRAM", "output_of"]

PROGRAM = "qemu-system-x86_64"
#: The hint for a program that is no QEMU.
INSTEAD = f"give the path of {PROGRAM}, or qemu='auto' for the host's own"

#: A program that is no QEMU may hang, or print without an end.
_SECONDS = 10.0
_MAX_OUTPUT = 1 << 20


def output_of(
    command: list[str],
    path: Path,
    user: QemuUser | None,
    *,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> bytes:
    """Return the beginning of a program's output, within a deadline; then kill the program."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            start_new_session=True,
            **run_as(user),
        )
    except OSError as error:
        raise HostError(_cannot_be_run(path, user, error)) from error
    try:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(stdin)  # which fits into the pipe
        return _read(process, path)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        process.stdout.close()


def _read(process: subprocess.Popen[bytes], path: Path) -> bytes:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    output, end = b"", time.monotonic() + _SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(output) < _MAX_OUTPUT:
            if not selector.select(max(0.0, end - time.monotonic())):
                raise HostError(
                    f"{path} is no QEMU: asked what it is it did not end in {_SECONDS:.0f} s; {INSTEAD}"
                )
            if not (part := os.read(process.stdout.fileno(), _MAX_OUTPUT)):
                break
            output += part
    return output


def _cannot_be_run(path: Path, user: QemuUser | None, error: OSError) -> str:
    if isinstance(error, PermissionError) and user is not None and os.access(path, os.X_OK):
        return (
            f"QEMU runs as user {user.uid}, who may not execute {path}: put it where every user may enter, "
            "as /opt or the cache"
        )
    if isinstance(error, PermissionError):
        return f"{path} may not be executed ({error.strerror}): `chmod +x` it, or give another path"
    return f"{path} cannot be run ({error.strerror}): give the path of {PROGRAM}"
