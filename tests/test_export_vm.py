"""What was exported, started by ``virsh`` and by a shell, with nothing of the kit."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from guest_program import compiled
from leftovers import leftovers

from fame_lab import Lab, LabSpec
from fame_lab.host import domain
from fame_lab.host.connection import ensure_daemons, uri
from fame_lab.host.domain_xml import domain_name

pytestmark = pytest.mark.vm

DEADLINE = 120.0
VIRSH = ("virsh", "--quiet", "--connect", uri())


def exported(directory: Path, name: str) -> tuple[LabSpec, Path]:
    """Write a folder of two nodes that QEMU's user can get at, with ports that are free now."""
    for parent in (directory, directory.parent, directory.parent.parent):
        parent.chmod(0o711)
    spec = LabSpec(f"{name}-{os.getpid()}", nodes=2, fam="64M", accel="tcg")
    return spec, spec.export(directory / "lab", ssh_port=two_free_ports())


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


def greet(folder: Path, program: Path) -> str:
    """Have an old FAME program write on one node, and give what it finds on the other."""
    for node in ("node01", "node02"):
        ssh(folder, node, "cat >/root/hello && chmod +x /root/hello", program.read_bytes())
    ssh(folder, "node01", "/root/hello 'hello, fabric'")
    return ssh(folder, "node02", "hostname; /root/hello")


def virsh(*words: str) -> str:
    return subprocess.run(
        [*VIRSH, *words], capture_output=True, text=True, check=True, timeout=DEADLINE
    ).stdout


@contextlib.contextmanager
def defined(spec: LabSpec, folder: Path) -> Iterator[None]:
    """Start the folder's domains, and take them away, by the words of its README."""
    ensure_daemons()
    try:
        do(folder, "libvirt")
        yield
    finally:
        do(folder, "end")
        domain.remove_logs(spec.name)  # libvirt keeps those of any domain


def do(folder: Path, what: str) -> None:
    """Have a shell do what the README says after a word."""
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


def test_virsh_starts_what_was_exported_and_its_nodes_share_fam(tmp_path: Path) -> None:
    spec, folder = exported(tmp_path, "virsh")
    with defined(spec, folder):
        assert greet(folder, compiled("hello_fabric", tmp_path)) == "node02\nhello, fabric\n"
        assert fam_of(spec).read_bytes()[:14] == b"hello, fabric\0"
        # What libvirt makes of it is read back, and is nobody's lab.
        assert LabSpec.from_xml(virsh("dumpxml", domain_name(spec.name, "node02"))) == spec
        assert spec.name not in [entry.name for entry in Lab.list()]
    assert leftovers(spec.name) == []


def test_a_shell_starts_what_was_exported_and_its_nodes_share_fam(tmp_path: Path) -> None:
    spec, folder = exported(tmp_path, "shell")
    program = compiled("hello_fabric", tmp_path)
    process = subprocess.Popen([str(folder / "all.sh")], cwd="/", stdin=subprocess.DEVNULL)
    try:
        assert greet(folder, program) == "node02\nhello, fabric\n"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
        fam_of(spec).unlink(missing_ok=True)
    assert leftovers(spec.name) == []


def test_a_folder_that_moved_starts_one_node_on_the_terminal(tmp_path: Path) -> None:
    spec, folder = exported(tmp_path, "moved")
    folder = folder.rename(tmp_path / "an other's")
    process = subprocess.Popen([str(folder / "node01.sh")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    try:
        read_until(process.stdout.fileno(), b"# ")
        process.stdin.write(b"echo $(hostname) $((6 * 7)); poweroff -f\n")
        process.stdin.flush()
        assert b"node01 42" in process.stdout.read()
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.communicate()
        fam_of(spec).unlink(missing_ok=True)
    assert leftovers(spec.name) == []


def read_until(descriptor: int, sign: bytes) -> None:
    """Read what a node writes until it has written `sign`, the prompt of its shell."""
    said = b""
    while sign not in said:
        part = os.read(descriptor, 4096)
        assert part, said
        said += part


def test_an_old_program_of_fame_runs_in_a_lab(lab: Lab, tmp_path: Path) -> None:
    program = compiled("hello_fabric", tmp_path)
    one, two = lab.nodes
    before = lab.fam.read(0, 4096)
    try:
        for node in lab.nodes:
            node.put(program, "/root/hello", mode=0o755)
        one.run("/root/hello 'hello, fabric'")
        assert two.run("/root/hello").stdout == "hello, fabric\n"
        assert lab.fam.read(0, 14) == b"hello, fabric\0"
    finally:
        lab.fam.write(0, before)
