"""A lab that was exported, started by ``virsh`` or a shell, with nothing of the kit."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from fame_lab import LabSpec
from fame_lab.host.libvirt import qemu_log
from fame_lab.host.libvirt.daemons import ensure_daemons, uri

DEADLINE = 120.0


@contextlib.contextmanager
def exported(name: str, **fields: object) -> Iterator[tuple[LabSpec, Path]]:
    """Write a folder of two nodes where QEMU's user can get at it, with ports that are free now."""
    spec = LabSpec(f"{name}-{os.getpid()}", nodes=2, fam="64M", accel="tcg", **fields)  # type: ignore[arg-type]
    # Not pytest's own place, which nobody else may enter.
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)
        yield spec, spec.export(Path(directory) / "lab", ssh_port=two_free_ports())


def two_free_ports() -> int:
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                two.bind(("127.0.0.1", port + 1))
                return port


def ssh(folder: Path, node: str, command: str, stdin: bytes = b"") -> str:
    """Run a command by OpenSSH's client as the folder's README says, once the node lets it in."""
    words = ["ssh", "-F", str(folder / "ssh_config"), "-o", "ConnectTimeout=10", node, command]
    end = time.monotonic() + DEADLINE
    while True:
        done = subprocess.run(words, input=stdin, capture_output=True, timeout=DEADLINE, check=False)
        if done.returncode == 0:
            return done.stdout.decode()
        # 255 is the connection's; no command of these tests ends so.
        assert done.returncode == 255 and time.monotonic() < end, done.stderr
        time.sleep(0.2)


@contextlib.contextmanager
def defined(spec: LabSpec, folder: Path) -> Iterator[None]:
    """Start the folder's domains, and take them away, by the words of its README."""
    ensure_daemons()
    try:
        do(folder, "libvirt")
        yield
    finally:
        do(folder, "end")
        qemu_log.remove_of_lab(spec.name)  # libvirt keeps those of any domain


@contextlib.contextmanager
def running(spec: LabSpec, folder: Path) -> Iterator[None]:
    """Start the folder's nodes by its script, from elsewhere, and end them with it."""
    process = subprocess.Popen([str(folder / "all.sh")], cwd="/", stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        status = process.wait(30)
        fam_of(spec).unlink(missing_ok=True)
    assert status == 128 + signal.SIGTERM


def do(folder: Path, what: str) -> None:
    """Run in a shell the command that follows a word in the README."""
    (line,) = [line for line in (folder / "README").read_text().splitlines() if line.startswith(f"- {what}:")]
    command = line.partition(":")[2].strip()
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=os.environ | {"LIBVIRT_DEFAULT_URI": uri()},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, (command, done)


def fam_of(spec: LabSpec) -> Path:
    return Path(f"/dev/shm/fame-{spec.name}.fam")  # noqa: S108
