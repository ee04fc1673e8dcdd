"""What was exported, started by ``virsh`` and by a shell, with nothing of the kit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from exported_lab import DEADLINE, defined, exported, fam_of, running, ssh
from guest_program import compiled
from leftovers import leftovers

from fame_lab import Lab, LabSpec
from fame_lab.host.libvirt.daemons import uri
from fame_lab.host.libvirt.domain_xml import domain_name

pytestmark = pytest.mark.vm

VIRSH = ("virsh", "--quiet", "--connect", uri())


def greet(folder: Path, program: Path) -> str:
    """Write by an old FAME program on one node, and return what it finds on the other."""
    for node in ("node01", "node02"):
        ssh(folder, node, "cat >/root/hello && chmod +x /root/hello", program.read_bytes())
    ssh(folder, "node01", "/root/hello 'hello, fabric'")
    return ssh(folder, "node02", "hostname; /root/hello")


def virsh(*words: str) -> str:
    return subprocess.run(
        [*VIRSH, *words], capture_output=True, text=True, check=True, timeout=DEADLINE
    ).stdout


def test_virsh_starts_what_was_exported_and_its_nodes_share_fam(tmp_path: Path) -> None:
    with exported("virsh") as (spec, folder), defined(spec, folder):
        assert greet(folder, compiled("hello_fabric", tmp_path)) == "node02\nhello, fabric\n"
        assert fam_of(spec).read_bytes()[:14] == b"hello, fabric\0"
        # What libvirt makes of it is read back, and is nobody's lab.
        assert LabSpec.from_xml(virsh("dumpxml", domain_name(spec.name, "node02"))) == spec
        assert spec.name not in [entry.name for entry in Lab.list()]
    assert leftovers(spec.name) == []


def test_a_shell_starts_what_was_exported_and_its_nodes_share_fam(tmp_path: Path) -> None:
    program = compiled("hello_fabric", tmp_path)
    with exported("shell") as (spec, folder), running(spec, folder):
        assert greet(folder, program) == "node02\nhello, fabric\n"
    assert leftovers(spec.name) == []


def test_a_folder_that_moved_starts_one_node_on_the_terminal(tmp_path: Path) -> None:
    with exported("moved") as (spec, folder):
        moved = folder.rename(tmp_path / "an other's")
    process = subprocess.Popen([str(moved / "node01.sh")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
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
    output = b""
    while sign not in output:
        part = os.read(descriptor, 4096)
        assert part, output
        output += part


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
