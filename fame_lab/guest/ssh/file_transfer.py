"""Files to and from a guest, over its shell: the appliance's SSH server has no SFTP, and others may not."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path, PurePosixPath

from fame_lab.core.jobs.cancellation import shielded
from fame_lab.core.numeric import whole
from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import parse_size
from fame_lab.errors import CommandError, FameError, SpecError
from fame_lab.guest.ssh import copy_commands
from fame_lab.guest.ssh.connection import Connection
from fame_lab.guest.ssh.local_file import Arriving, destination, local_path, path_text, pieces, source
from fame_lab.guest.ssh.run_result import RunResult

__all__ = ["get", "put"]

#: Seconds that a guest has to remove a partial file.
_KILL_TIMEOUT = 5.0


def put(
    connection: Connection,
    local: str | os.PathLike[str],
    remote: str | os.PathLike[str],
    *,
    mode: int | None = None,
    timeout: float | None = None,
) -> PurePosixPath:
    """Copy a file into a guest; see :meth:`fame_lab.Node.put`."""
    path = local_path(local)
    target = _remote(remote)
    permissions = None if mode is None else whole(mode)
    if mode is not None and (permissions is None or not 0 <= permissions <= 0o7777):
        raise SpecError(f"mode is {quoted(mode)}", hint="give permissions, such as 0o755")
    with source(path) as (file, size, local_mode):
        part = f".fame-put-{secrets.token_hex(8)}"
        command = copy_commands.put(
            target, path.name, part, size=size, mode=local_mode if permissions is None else permissions
        )
        try:
            stdout, stderr, status = connection.execute(
                command,
                timeout=timeout,
                stdin=pieces(file, size, path),
                words=f"the copy of {quoted(str(path))}",
            )
        except BaseException:
            # The command was killed, and could not remove its partial file.
            _remove(connection, copy_commands.remove(target, path.name, part))
            raise
    within = stdout.startswith(b"in\n")
    place = PurePosixPath(target, path.name) if within else PurePosixPath(target)
    if status:
        why = copy_commands.why_not_put(status, stdout, stderr, size)
        raise _failure(connection, f"cannot put {quoted(str(path))} at {quoted(str(place))}: {why}", status)
    return place


def get(
    connection: Connection,
    remote: str | os.PathLike[str],
    local: str | os.PathLike[str],
    *,
    most: int | str = "64M",
    timeout: float | None = None,
) -> Path:
    """Copy a file out of a guest; see :meth:`fame_lab.Node.get`."""
    path = _remote(remote)
    limit = parse_size(most, "most")
    if limit < 1:
        raise SpecError(f"most is {quoted(most)}", hint="give a size of 1 byte or more")
    target = destination(local, PurePosixPath(path).name)
    with contextlib.ExitStack() as undo:
        arriving = Arriving(target, path, limit, undo)
        _, stderr, status = connection.execute(
            copy_commands.get(path, limit),
            timeout=timeout,
            sink=arriving.take,
            words=f"the copy of {quoted(path)}",
        )
        if status == copy_commands.TOO_LARGE:
            raise arriving.too_large()
        if status:
            why = copy_commands.why_not_got(status, stderr)
            raise _failure(connection, f"cannot get {quoted(path)}: {why}", status)
        arriving.finish()
    return target


def _remove(connection: Connection, command: str) -> None:
    with shielded(), contextlib.suppress(FameError):
        connection.execute(command, timeout=_KILL_TIMEOUT)


def _failure(connection: Connection, words: str, status: int) -> CommandError:
    result = RunResult("", words, status, 0.0, "", connection.node)
    return CommandError(f"{connection.node}: {words}", result)


def _remote(path: str | os.PathLike[str]) -> str:
    text = path_text(path, "the path in the node")
    if text.startswith("~") and text != "~" and not text.startswith("~/"):
        raise SpecError(
            f"the path in the node is {quoted(text)}: ~ is root's home there, and no other user's; "
            f"a file of that name is {quoted('./' + text)}"
        )
    return text
