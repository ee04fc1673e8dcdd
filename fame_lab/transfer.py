"""Files to and from a guest, over its shell: the appliance's SSH server has no SFTP, and others may not."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path, PurePosixPath

from fame_lab.run_result import RunResult
from fame_lab.ssh import Connection

__all__ = ["get", "put"]


def put(connection: Connection, local: str | Path, remote: str, *, mode: int = 0o644) -> None:
    """Copy a file into the guest; it appears whole or not at all.

    Raises
    ------
    CommandError
        If the guest cannot write it.
    OSError
        If the local file cannot be read.
    """
    content = Path(local).read_bytes()
    part = shlex.quote(f"{remote}.part")
    target = shlex.quote(remote)
    connection.run(
        f"cat > {part} && [ $(wc -c < {part}) -eq {len(content)} ] && "
        f"chmod {mode:o} {part} && mv {part} {target}",
        stdin=content,
    )


def get(connection: Connection, remote: str, local: str | Path) -> Path:
    """Copy a file of up to 64 MiB out of the guest; it appears whole or not at all.

    Returns
    -------
    Path
        Where it is: `local`, or the file in it if that is a directory.

    Raises
    ------
    CommandError
        If the guest cannot read it.
    """
    target = Path(local)
    if target.is_dir():
        target /= PurePosixPath(remote).name
    command = f"cat < {shlex.quote(remote)}"
    content, said, status = connection.execute(command)
    RunResult("", said.decode(errors="replace"), status, 0.0, command, connection.node).check()
    descriptor, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(part).replace(target)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return target
