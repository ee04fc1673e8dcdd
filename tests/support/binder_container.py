"""A container as Binder gives one: an ordinary user without KVM, 2 GB, one core, a /dev/shm of 64 MB.

It is made of what container engines are made of: namespaces, which take root, and a memory control group.
Nothing of it outlives the block.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["HOME", "Container", "binder_container"]

HOME = Path("/home/jovyan")
MEMORY = 2 << 30
_UID = 1000

# $1 is the container's root directory, or empty for this host's own. $2 is what is to be the user's home. The
# others stay where they are, though they lie where the user cannot go, such as a Python in /root.
_SET_UP = """
set -e
root=$1 home=$2
shift 2
mount --make-rprivate /
mount -t tmpfs none /mnt
keep() { mkdir -p "/mnt$1"; mount --bind "$1" "/mnt$1"; }
show() { mkdir -p "$root$1"; mount --bind "/mnt$1" "$root$1"; }
for each in "$home" "$@"; do keep "$each"; done
# How this host reaches the network, and whom it trusts there.
for each in /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt; do
    mkdir -p "/mnt${each%/*}"
    cp -L "$each" "/mnt$each"
done

if [ -n "$root" ]; then
    mount --bind "$root" "$root"
    mount -t proc none "$root/proc"
    mount -t sysfs -o ro none "$root/sys" # where libvirt looks for processors, or it starts nothing
fi
for place in dev home run root var/lib/apt/lists; do mount -t tmpfs -o mode=755 none "$root/$place"; done
node() { mknod -m 666 "$root/dev/$1" c "$2" "$3"; }
node null 1 3; node zero 1 5; node full 1 7; node random 1 8; node urandom 1 9; node tty 5 0
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 none "$root/dev/pts"
mount -t tmpfs -o size=64M,mode=1777 none "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for each in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${each%:*}" "$root/dev/${each#*:}"; done

for each in passwd group; do
    { grep -v -e '^jovyan:' -e '^[^:]*:[^:]*:1000:' "$root/etc/$each" || :; } >"/mnt/$each"
    mount --bind "/mnt/$each" "$root/etc/$each"
done
echo 'jovyan:x:1000:1000::/home/jovyan:/bin/bash' >>/mnt/passwd
echo 'jovyan:x:1000:' >>/mnt/group
for each in /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt; do
    [ -z "$root" ] || mount --bind "/mnt$each" "$root$each"
done
mkdir "$root/home/jovyan"
mount --bind "/mnt$home" "$root/home/jovyan"
for each; do show "$each"; done
echo ready
cat >/dev/null # as the first process, the shell reaps whatever ends meanwhile
"""


@dataclass(frozen=True)
class Container:
    """A container that runs steps, as the user.

    Parameters
    ----------
    first : int
        The process that all else in it hangs on.
    root : Path, optional
        Its root directory, if not this host's own.
    group : Path
        Its memory control group.
    """

    first: int
    root: Path | None
    group: Path

    def run(
        self, *command: str, environment: Mapping[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the user's home; by default it must end well."""
        core = min(os.sched_getaffinity(0))
        variables = {"HOME": str(HOME), "USER": "jovyan", "LC_ALL": "C.UTF-8"}
        variables |= {"PATH": f"{HOME}/env/bin:/usr/sbin:/usr/bin:/sbin:/bin"} | dict(environment or {})
        done = subprocess.run(
            [
                *("nsenter", f"--target={self.first}", "--mount", "--root", "--pid"),
                *("sh", "-c", 'echo 0 >"$0" && exec "$@"', str(self.group / "cgroup.procs")),
                *(["chroot", str(self.root)] if self.root else []),
                *("setpriv", f"--reuid={_UID}", f"--regid={_UID}", "--clear-groups", "--no-new-privs"),
                *("taskset", "--cpu-list", str(core)),
                *("env", "-i", f"--chdir={HOME}", *(f"{name}={value}" for name, value in variables.items())),
                *command,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}", pytrace=False)
        return done

    @property
    def most_memory(self) -> int:
        """Return the bytes that it has taken at its height."""
        for name in ("memory.max_usage_in_bytes", "memory.peak"):
            if (self.group / name).exists():
                return int((self.group / name).read_text())
        return 0


@contextlib.contextmanager
def binder_container(home: Path, *folders: Path, root: Path | None = None) -> Iterator[Container]:
    """Create a container; all programs in it end with the block.

    Parameters
    ----------
    home : Path
        What is to be the user's home; it is given to that user.
    *folders : Path
        Directories that the user can see though they lie in /root or /home.
    root : Path, optional
        Of another distribution's tree; by default this host's.
    """
    if os.geteuid() != 0:
        pytest.skip("a container takes root: it mounts")
    os.chown(home, _UID, _UID)
    isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    words = [str(root or ""), str(home), *map(str, folders)]
    with (
        _memory_group() as group,
        subprocess.Popen(
            [*isolated, "sh", "-c", _SET_UP, "sh", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield Container(int(children[0]), root, group)
        finally:
            process.kill()  # and with it the first process inside, and with that all others


@contextlib.contextmanager
def _memory_group() -> Iterator[Path]:
    """Create a control group of 2 GB within our own."""
    ours = {line.split(":")[1]: line.split(":")[2] for line in Path("/proc/self/cgroup").read_text().split()}
    first = Path("/sys/fs/cgroup/memory" if "memory" in ours else "/sys/fs/cgroup")
    group = first / ours.get("memory", ours.get("", "/")).lstrip("/") / f"binder-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no memory control group can be made here: {error}")
    try:
        limit = group / ("memory.limit_in_bytes" if "memory" in ours else "memory.max")
        if not limit.exists():
            pytest.skip(f"a control group here has no {limit.name}")
        limit.write_text(str(MEMORY))
        yield group
    finally:
        end = time.monotonic() + 30
        while group.exists() and time.monotonic() < end:
            with contextlib.suppress(OSError):  # what ran in it is still ending
                group.rmdir()
            time.sleep(0.05)
