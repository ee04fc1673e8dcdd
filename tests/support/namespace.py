"""A network namespace of the tests' own, with libvirt's daemons in it, for tests that make bridges and rules.

What is mounted over is where libvirt and labs keep things: nothing is seen of the host's, nor left on it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

__all__ = ["Namespace", "apart", "namespace"]

_INSIDE = "FAME_LAB_TEST_NAMESPACE"
#: Its first process: it ends with us, reaps what daemons leave to it, and all processes in it end with it.
_KEEP = """
import signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("there", flush=True)
sys.stdin.read()
"""
_FURNISH = """
set -e
mount --make-rprivate /
mkdir -p /var/lib/libvirt /var/log/libvirt /var/cache/libvirt
for place in /run /var/lib/libvirt /var/log/libvirt /var/cache/libvirt; do
    mount -t tmpfs -o mode=755 none $place
done
mount -t tmpfs -o mode=1777 none /dev/shm
cp -a /etc/libvirt /run/etc-libvirt
rm -rf /run/etc-libvirt/qemu/networks /run/etc-libvirt/qemu/autostart
mount --bind /run/etc-libvirt /etc/libvirt
# Its own bridges are in its own /sys. The host's control groups are not, and stay as they are.
mount -t sysfs none /sys
echo 'cgroup_controllers = [ ]' >>/etc/libvirt/qemu.conf
ip link set lo up
exec "$@"
"""


class Namespace:
    """A namespace with its own loopback and nothing else.

    Parameters
    ----------
    pid : int
        Of its first process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program in it, in our own working directory."""
        enter = [
            "nsenter",
            f"--target={self.pid}",
            "--net",
            "--mount",
            "--root",  # where this host itself is a chroot, the namespace's is another one
            "--pid",
            "env",
            f"--chdir={Path.cwd()}",
        ]
        return subprocess.run(
            [*enter, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Create a namespace; all programs in it end with it."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace with libvirt's own daemons takes root")
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with subprocess.Popen(
        [*unshare, "sh", "-c", _FURNISH, "sh", sys.executable, "-c", _KEEP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as keeper:
        assert keeper.stdin is not None and keeper.stdout is not None and keeper.stderr is not None
        if keeper.stdout.readline() != "there\n":
            stderr = keeper.stderr.read().strip()
            if "ermission denied" in stderr or "not permitted" in stderr:
                pytest.skip(f"no namespace can be made here: {stderr}")
            raise AssertionError(stderr)
        (first,) = psutil.Process(keeper.pid).children()
        try:
            yield Namespace(first.pid)
        finally:
            keeper.stdin.close()


def apart(test: Callable[[], None]) -> Callable[..., None]:
    """Return the test, run by a pytest of its own in the fixture `network_namespace`."""
    if _INSIDE in os.environ:
        return test
    where = f"{test.__code__.co_filename}::{test.__name__}"

    def outside(network_namespace: Namespace) -> None:
        pytest_there = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", where]
        done = network_namespace.run("env", f"{_INSIDE}=yes", *pytest_there)
        if done.returncode:
            pytest.fail(done.stdout, pytrace=False)

    outside.__name__, outside.__module__ = test.__name__, test.__module__
    return outside
