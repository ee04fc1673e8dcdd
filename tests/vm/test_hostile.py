"""A node whose root means no good, and what holds QEMU: the others, and the host, go on as they were."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from leftovers import leftovers

from fame_lab import Lab, LabSpec
from fame_lab.core.lab_directory import LabDirectory
from fame_lab.core.sizes import MIB
from fame_lab.errors import FameError, HostError, SSHError
from fame_lab.guest.c_program import compile_c
from fame_lab.guest.ssh import output
from fame_lab.host.libvirt import qemu_log
from fame_lab.lab.console import last_line
from fame_lab.lab.node import Node
from fame_lab.lab.node_stats import NodeMonitor
from fame_lab.notebook.html import pre
from fame_lab.notebook.node_table import node_rows
from fame_lab.spec.fam_layout import CONTROL_SIZE

pytestmark = pytest.mark.vm

#: As long and as odd as a name may be.
NAME = f"Hos--__{os.getpid()}".ljust(31, "_") + "Z"

#: Seconds that a boot may take, on a host that has much else to do.
PATIENCE = 240.0

# All that a libvirt of Debian 12's asks of QEMU's own sandbox.
SANDBOX = b"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

SCRIBBLER = "/tmp/scribble"  # noqa: S108 - in the guest
SCRIBBLE = r"""
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

int main(int count, char **words)
{
	int fd = open("/dev/fam", O_RDWR);
	struct stat status;
	if (count < 3 || fd < 0 || fstat(fd, &status) != 0)
		return 1;
	size_t size = strtoull(words[1], 0, 0), from = strtoull(words[2], 0, 0);
	volatile uint64_t *fam = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fam == MAP_FAILED)
		return 1;
	for (uint64_t seed = 88172645463325252;;) {
		for (size_t at = from / 8; at < size / 8; at++) {
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			fam[at] = seed % 7 ? seed : seed % 3;
		}
	}
}
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    hostile_lab = Lab(LabSpec(NAME, nodes=3, fam="16M", trace=True), progress=False)
    with hostile_lab.start(deadline=PATIENCE):
        yield hostile_lab
    assert leftovers(NAME) == []


@pytest.fixture(scope="module")
def evil(lab: Lab) -> Node:
    return lab.nodes[2]


def pids(lab: Lab) -> list[int]:
    numbers = [node.domain.pid() for node in lab.nodes]
    assert all(numbers)
    return [pid for pid in numbers if pid is not None]


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def in_time(do: Callable[[], object], seconds: float = 120) -> Exception | None:
    """Do it in a thread; it ends in time, and whatever it raises is an error of ours."""
    raised: list[Exception] = []

    def attempt() -> None:
        try:
            do()
        except Exception as error:  # noqa: BLE001 - looked at below
            raised.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"
    assert all(isinstance(error, FameError) for error in raised), raised
    assert all(len(str(error)) < 4000 and str(error).isprintable() for error in raised)
    return raised[0] if raised else None


def the_others_work(lab: Lab) -> None:
    for node in lab.nodes[:2]:
        assert node.run("uname -n", timeout=60).stdout == f"{node.name}\n"


# --- What holds QEMU ---


def test_qemu_has_no_privilege_and_a_sandbox(lab: Lab) -> None:
    for pid in pids(lab):
        status = status_of(pid)
        assert "0" not in status["Uid"].split()
        assert "0" not in status["Gid"].split()
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[kind], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        assert words[words.index(b"-sandbox") + 1] == SANDBOX


def test_qemu_listens_on_one_port_of_loopback_and_no_daemon_on_any(lab: Lab) -> None:
    for node, pid in zip(lab.nodes, pids(lab), strict=True):
        opened = psutil.Process(pid).net_connections("inet")
        listening = [each.laddr for each in opened if each.status == psutil.CONN_LISTEN]
        assert listening == [("127.0.0.1", node.ssh_port)]
        assert all(each.laddr.ip == "127.0.0.1" for each in opened)
    for process in psutil.process_iter(["name"]):
        if process.info["name"] in ("libvirtd", "virtlogd", "virtqemud"):
            opened = process.net_connections("inet")
            assert [each for each in opened if each.status == psutil.CONN_LISTEN] == []


def test_what_is_secret_is_its_owners_alone(lab: Lab) -> None:
    directory = LabDirectory.of(NAME)
    assert directory.path.stat().st_mode & 0o067 == 0
    for path in directory.path.iterdir():
        assert path.stat().st_mode & 0o177 == 0, path
    qemu = int(status_of(pids(lab)[0])["Uid"].split()[0])
    for path in (directory.key, directory.known_hosts, directory.record):
        assert path.stat().st_uid == os.geteuid()
    assert qemu == os.geteuid() or directory.path.stat().st_uid != qemu


def test_what_qemu_may_write_it_fills_no_disk_with(lab: Lab) -> None:
    # As a guest would that has broken out: into its console, and into what libvirt keeps of QEMU's stderr.
    pid = pids(lab)[2]
    flood = b"<script>\x1b[2J\n" * 5041
    pipes = {Path(f"/proc/{pid}/fd/{number}").readlink().name for number in ("1", "2")}
    console = next(
        path
        for path in Path(f"/proc/{pid}/fd").iterdir()
        if (target := path.readlink().name).startswith("pipe:")
        and target not in pipes
        and path.lstat().st_mode & 0o600 == 0o200
    )
    for path in (console, Path(f"/proc/{pid}/fd/2")):
        with path.open("wb", buffering=0) as file:
            room = 100 * MIB
            while room > 0:
                room -= file.write(flood) or 0
    directory = LabDirectory.of(NAME)
    log = qemu_log.path_of(f"fame-{NAME}-node03")
    for files in (directory.path.glob("node03.console*"), log.parent.glob(f"{log.name}*")):
        sizes = [path.stat().st_size for path in files]
        assert MIB < sum(sizes) < 16 * MIB
    text = lab.nodes[2].console()
    assert "<script" not in pre(text)
    assert last_line(text).isprintable()
    assert "<script" not in node_rows(lab.spec.node_names, NodeMonitor(NAME).look(), {})
    assert "\x1b" not in lab.nodes[2].domain.qemu_log_tail()


# --- What root in a node can do ---

GARBAGE = [
    """printf '{"probe": "prove", "read": NaN}\\n'""",
    pytest.param("""printf '{"probe": "prove", "read": %099999d}\\n' 1""", marks=pytest.mark.soak),
    pytest.param("""head -c 60000 /dev/zero | tr '\\0' '['""", marks=pytest.mark.soak),
    """head -c 3000 /dev/urandom""",
    """printf '<script>alert(1)</script>\\033]0;mine\\007\\033[2J\\n' | tee /dev/stderr; exit 3""",
    """yes '{"probe": "prove"}'""",
    """kill -9 $PPID""",
]


@pytest.mark.parametrize("script", GARBAGE)
def test_whatever_a_nodes_programs_say_is_an_error_of_that_node(
    lab: Lab, evil: Node, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "MAX_OUTPUT", MIB)
    backup = "[ -e /tmp/kept ] || mv /usr/bin/fame-probe /tmp/kept"
    placed = "rm -f /usr/bin/fame-probe; cat > /usr/bin/fame-probe; chmod 755 /usr/bin/fame-probe"
    evil.run(f"{backup}; {placed}; ln -sf fame-probe /usr/bin/lspci", stdin=f"#!/bin/sh\n{script}\n".encode())
    error = in_time(lambda: evil.probe("memory"))
    assert evil.name in str(error)
    results = []
    in_time(lambda: results.append(evil.run("lspci -v", check=False)))
    assert all("<script" not in result._repr_html_() for result in results)
    the_others_work(lab)
    assert evil.run("cp /tmp/kept /usr/bin/fame-probe 2>/dev/null; fame-probe tsc", timeout=60)


def test_a_node_that_scribbles_over_the_control_area_hangs_nobody(
    lab: Lab, evil: Node, tmp_path: Path
) -> None:
    scribbler(evil, tmp_path)
    first = lab.fam.size - CONTROL_SIZE
    lab.fam.write(MIB, b"the user's own")
    evil.run(f"setsid {SCRIBBLER} {lab.fam.size} {first} >/dev/null 2>&1 </dev/null & echo $! >/tmp/pid")
    try:
        in_time(lambda: lab.probe("pingpong", variants=["cas"], batches=30, peer_timeout=2))
        in_time(lambda: lab.probe("visibility", batches=30, peer_timeout=2))
        assert NAME in [entry.name for entry in lab.list()]
        the_others_work(lab)
    finally:
        evil.run("kill $(cat /tmp/pid)")
    assert lab.fam.read(MIB, 14) == b"the user's own"
    assert not lab.probe("pingpong", variants=["cas"], batches=30).failed


def test_a_node_that_fills_fam_leaves_the_others_running(lab: Lab, evil: Node, tmp_path: Path) -> None:
    scribbler(evil, tmp_path)
    with pytest.raises(SSHError, match="takes longer"):
        evil.run(f"{SCRIBBLER} {lab.fam.size} 0", timeout=3)
    assert lab.fam.allocated() <= lab.fam.size
    the_others_work(lab)


def test_a_node_that_kills_its_ssh_server_is_given_up_and_can_be_booted_anew(lab: Lab, evil: Node) -> None:
    in_time(lambda: evil.run("kill -9 -1", timeout=5))
    assert "does not answer SSH within 1 s" in str(in_time(lambda: evil.run("true", timeout=1)))
    the_others_work(lab)
    evil.restart(deadline=PATIENCE)
    assert evil.run("uname -n").stdout == "node03\n"


def test_a_node_that_takes_its_fam_away_during_a_recording_spoils_its_own_counts_alone(
    lab: Lab, evil: Node
) -> None:
    one = lab.nodes[0]
    with lab.record() as traffic:
        evil.run("setpci -s 00:09.0 COMMAND=0:2")
        one.probe("store", "--fam", "/dev/fam", "--offset", "4096", "twelve bytes")
        evil.run("setpci -s 00:09.0 18.l=e0000004:fffffff0 COMMAND=2:2")
        one.probe("store", "--fam", "/dev/fam", "--offset", "4096", "twelve bytes")
    stored = traffic.matrix("bytes").sel(op="store", initiator=one.name)
    assert int(stored.sum()) == 2 * len("twelve bytes")
    evil.run("setpci -s 00:09.0 COMMAND=0:2")
    with pytest.raises(HostError, match="node03 has no FAM mapped"):
        lab.record().start()
    the_others_work(lab)


def scribbler(evil: Node, directory: Path) -> None:
    evil.put(compile_c(SCRIBBLE, directory / "scribble"), SCRIBBLER, mode=0o755)
