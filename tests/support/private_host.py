"""A host of a test's own: libvirt, processes, network and /dev/shm apart from everybody else's.

In it daemons can be killed, and what is left behind counted, without meeting another's labs. It is made of
namespaces, which takes root, and nothing of it outlives the block.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from repository import ROOT, SUPPORT

# libvirt's settings and what it found out about QEMU are copied: to find that out anew takes seconds.
_SET_UP = """
set -e
mount --make-rprivate /
for place in /run /dev/shm /var/lib/libvirt /var/log/libvirt; do mount -t tmpfs none $place; done
chmod 1777 /dev/shm
mkdir -p /run/lock /var/lib/libvirt/qemu
for place in /etc/libvirt /var/cache/libvirt; do
    mkdir -p /run/copies$place
    cp -a $place/. /run/copies$place
    mount --bind /run/copies$place $place
done
echo 'cgroup_controllers = []' >>/etc/libvirt/qemu.conf # those are the whole machine's
ip link set lo up
echo ready
cat >/dev/null # as the first process, the shell reaps whatever ends meanwhile
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a host of its own takes root: it mounts")


@dataclass(frozen=True)
class PrivateHost:
    """A private host, held by the process that everything else in it hangs on."""

    first: int

    def start(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a Python program in it, with this directory's modules at hand."""
        return subprocess.Popen(
            [*self._inside(), sys.executable, "-c", script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(SUPPORT), *_paths())))},
            text=True,
        )

    def run(self, script: str, *arguments: str) -> str:
        """Run a Python program in it to its end, which must be a good one; return its output."""
        with self.start(script, *arguments) as process:
            output, complaints = process.communicate()
        assert process.returncode == 0, f"{output}\n{complaints}"
        return output

    def fame_lab(self, *words: str) -> str:
        """Call the command line in it."""
        return self.run("import sys; from fame_lab.cli.main import main; sys.exit(main())", *words)

    def leftovers(self, name: str) -> list[str]:
        """List all that is there of a lab."""
        output = self.run(f"from leftovers import leftovers; print(*leftovers({name!r}), sep='\\n')")
        return output.split("\n")[:-1] if output.strip() else []

    def kill(self, process: subprocess.Popen[str]) -> None:
        """Kill a program that :meth:`start` started."""
        for child in _children(process.pid):
            os.kill(child, signal.SIGKILL)
        process.communicate(timeout=60)

    def processes(self, name: str) -> list[int]:
        """Find the processes in it of a program with that name."""
        here = Path(f"/proc/{self.first}/ns/pid").stat().st_ino
        pids = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended while we looked
                program = (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
                if Path(program).name == name and (entry / "ns/pid").stat().st_ino == here:
                    pids.append(int(entry.name))
        return pids

    def _inside(self) -> list[str]:
        # Its root and its directory too: where this host itself is a chroot, the namespace has others.
        return ["nsenter", f"--target={self.first}", "--mount", "--root", "--wd", "--net", "--pid"]


@contextlib.contextmanager
def private_host() -> Iterator[PrivateHost]:
    """Create a host, and end all that runs in it."""
    with subprocess.Popen(
        [
            "unshare",
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            _SET_UP,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            (first,) = _children(process.pid)
            yield PrivateHost(first)
        finally:
            process.kill()  # and with it the first process inside, and with that all others


def _paths() -> list[str]:
    return [str(ROOT), os.environ.get("PYTHONPATH", "")]


def _children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    end = time.monotonic() + 10
    while not (pids := children.read_text().split()) and time.monotonic() < end:
        time.sleep(0.01)
    return [int(child) for child in pids]
