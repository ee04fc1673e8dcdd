"""A guest booted by QEMU alone, with no libvirt and nothing of the kit but its image."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from fame_lab.guest.images.appliance import Appliance
from fame_lab.guest.images.base import PERSONAL, READY, Identity

DEADLINE = 60.0


@dataclass
class RawVM:
    """A guest that has said that it is ready."""

    port: int
    client_key: Ed25519PrivateKey
    host_key: Ed25519PrivateKey
    fam: Path
    console: str
    process: subprocess.Popen[bytes]

    @contextlib.contextmanager
    def login(self, key: Ed25519PrivateKey) -> Iterator[paramiko.Transport]:
        """Log in as root with `key`."""
        transport = paramiko.Transport(socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE))
        try:
            transport.start_client(timeout=DEADLINE)
            transport.auth_publickey("root", paramiko_key(key))
            yield transport
        finally:
            transport.close()

    def run(self, command: str) -> str:
        """Run a command in the guest; return its output."""
        with self.login(self.client_key) as transport:
            channel = transport.open_session(timeout=DEADLINE)
            channel.exec_command(command)
            out = channel.makefile("rb").read()
            assert channel.recv_exit_status() == 0, channel.makefile_stderr("rb").read()
            return out.decode()


@contextlib.contextmanager
def booted(
    image: Appliance, directory: Path, *, node: str = "node07", fam: str = "256M", memory: str = "128M"
) -> Iterator[RawVM]:
    """Start the image as a lab would, and end it in any case."""
    client_key, host_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    authorized = client_key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    own = image.personal(Identity(node, authorized, host_key))
    for name, content in own.items():
        (directory / name).write_bytes(content)
    console, monitor, shared = directory / "console", directory / "qmp", directory / "fam"
    command = [
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35"),
        *("-accel", "tcg,tb-size=32", "-cpu", "max,erms=off,fsrm=off", "-smp", "1,maxcpus=2", "-m", memory),
        *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
        *("-append", image.cmdline(tsc_khz=None)),
        *(word for name in own for word in ("-fw_cfg", f"name={PERSONAL}/{name},file={directory / name}")),
        *("-object", f"memory-backend-file,mem-path={shared},size={fam},id=FAM,share=on"),
        *("-device", "ivshmem-plain,memdev=FAM,bus=pcie.0,addr=0x9"),
        *("-netdev", "user,id=ssh,restrict=on,hostfwd=tcp:127.0.0.1:0-:22"),
        *("-device", "virtio-net-pci,netdev=ssh,romfile="),
        *("-serial", f"file:{console}", "-qmp", f"unix:{monitor},server=on,wait=off"),
    ]
    with (directory / "stderr").open("wb") as complaints:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=complaints)
    try:
        end = time.monotonic() + DEADLINE
        while READY.format(node=node) not in (output := _text(console)):
            assert process.poll() is None, _text(directory / "stderr")
            assert time.monotonic() < end, f"not ready; its console says: {output!r}"
            time.sleep(0.02)
        yield RawVM(_port(monitor), client_key, host_key, shared, output, process)
    finally:
        process.kill()
        process.wait()
        for path in (shared, *(directory / name for name in own)):
            path.unlink(missing_ok=True)


def paramiko_key(key: Ed25519PrivateKey) -> paramiko.Ed25519Key:
    """Return a key in paramiko's own form."""
    from io import StringIO

    pem = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return paramiko.Ed25519Key.from_private_key(StringIO(pem))


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _port(monitor: Path) -> int:
    """Ask QEMU which port it forwards."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE)
        connection.connect(str(monitor))
        with connection.makefile("rw") as lines:
            lines.readline()
            answer = {}
            for request in (
                {"execute": "qmp_capabilities"},
                {"execute": "human-monitor-command", "arguments": {"command-line": "info usernet"}},
            ):
                lines.write(json.dumps(request) + "\n")
                lines.flush()
                while "return" not in (answer := json.loads(lines.readline())):
                    assert "error" not in answer, answer
    match = re.search(r"127\.0\.0\.1\s+(\d+)", answer["return"])
    assert match, answer
    return int(match[1])
