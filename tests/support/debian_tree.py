"""A Debian of another release as a tree of files: with another QEMU, libvirt and Python.

It is made by mmdebstrap and entered by namespaces, which takes root. It has the host's kernel and
network, and processes, /dev, /dev/shm and /run of its own; what runs in it ends with the command.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repository import ROOT

from fame_lab.core.cache import cache_directory
from fame_lab.guest.images import backports

__all__ = ["DebianTree", "debian_tree"]

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

#: What entering the tree takes, and a clone's `make setup` to begin with; all else it brings itself.
_PACKAGES = "ca-certificates,git,make,mount,sudo"
#: Of apt's settings, what decides whether the mirror is reached and believed.
_APT = ("Acquire::Check-Valid-Until", "Acquire::Check-Date", "Acquire::http::Proxy", "Acquire::https::Proxy")
#: Of the environment, what leads pip to its index. PIP_FIND_LINKS names a directory of the host.
_LEADS = ("PIP_CERT", "PIP_INDEX_URL", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "http_proxy", "https_proxy")

_ENTER = """
set -e
root=$1; shift
mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount -t tmpfs -o mode=755 none dev
for node in null zero full random urandom tty net/tun; do
    [ -e /dev/$node ] || continue
    mkdir -p dev/$(dirname $node)
    touch dev/$node
    mount --bind /dev/$node dev/$node
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,gid=5,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mount -t tmpfs -o mode=1777 none dev/shm
mount -t tmpfs -o mode=755 none run
mkdir -p run/lock
# Not by chroot: libvirt enters the mount namespace of a QEMU, which leads out of that, and changed /dev/ptmx
# of the host.
mkdir -p .host
pivot_root . .host
cd /
umount -l .host
rmdir .host
exec "$@"
"""


@dataclass(frozen=True)
class DebianTree:
    """A tree, with this repository's files in it at /root/fame_lab.

    Parameters
    ----------
    root : Path
    """

    root: Path

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a shell's command in the repository, as root; all that it starts ends with it."""
        environment = {
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        } | {name: os.environ[name] for name in _LEADS if name in os.environ}
        # The shell stays, and as the first process reaps whatever ends meanwhile.
        inside = ["/bin/bash", "-c", f"cd /root/fame_lab && {{ {command}\n}}; exit $?"]
        return subprocess.run(
            [
                *("unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"),
                *("sh", "-c", _ENTER, "enter", str(self.root), *inside),
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )


@contextlib.contextmanager
def debian_tree(release: str) -> Iterator[DebianTree]:
    """Create a tree of a Debian release, such as ``trixie``; remove it at the block's end."""
    cache_directory().mkdir(parents=True, exist_ok=True)
    # Not in /tmp, which may be small, or mounted without devices.
    directory = Path(tempfile.mkdtemp(prefix=f"tests-{release}-", dir=cache_directory()))
    try:
        root = directory / "root"
        # Any Debian's keyring has the keys of its neighbours.
        mirror, _ = backports.mirror(backports.suite().removesuffix("-backports"), directory)
        subprocess.run(
            [
                *("mmdebstrap", "--mode=root", "--variant=apt", f"--include={_PACKAGES}"),
                *(f"--aptopt={line}" for line in _apt_settings()),
                *(release, str(root), f"deb [signed-by={backports.KEYRING}] {mirror} {release} main"),
            ],
            check=True,
        )
        if CERTIFICATES.exists():  # with what this host trusts besides
            shutil.copyfile(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
        shutil.copyfile("/etc/hosts", root / "etc/hosts")
        _copy_repository(root / "root/fame_lab")
        yield DebianTree(root)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _apt_settings() -> list[str]:
    dump = subprocess.run(["apt-config", "dump", *_APT], capture_output=True, text=True, check=True)
    return [line for line in dump.stdout.splitlines() if '""' not in line]


def _copy_repository(into: Path) -> None:
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listing.stdout.split("\0")):
        source = ROOT / name
        if source.is_symlink() or not source.is_file():
            continue
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, into / name)
