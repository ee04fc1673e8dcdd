"""A guest in which KVM works, on a host where it does not: QEMU's TCG emulates AMD's SVM and nested paging.

It shows what the kit does under KVM, and not how fast: both levels are emulated. The guest is a Debian of
its own, with a clone of this repository that is set up in the chroot, where pip is not emulated. It has one
CPU: with two, nodes fell silent and its own kernel broke within minutes, and with one neither was seen. It
wants an idle core: on a busy host its timers come faster than it serves them, and its CPU sticks (soft
lockups, seen with twelve processes to two cores).
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repository import ROOT

from fame_lab.guest.images import debian_build

__all__ = ["NestedHost", "NestedImage", "build", "nested_host"]

CLONE = "/root/fame_lab"
#: Seconds until it answers SSH (some 30 on an idle host), and that it may take to end.
BOOT_DEADLINE, LAST_WORD = 600.0, 60.0
#: The cloud kernel has no kvm_amd. What else fame_lab needs its own set-up installs.
_PACKAGES = (
    "linux-image-amd64", "initramfs-tools", "systemd-sysv", "udev", "dbus", "openssh-server", "iproute2",
    "procps", "ca-certificates", "git", "make",
)  # fmt: skip
#: Behind a proxy that signs anew, the chroot has to trust whom this host trusts.
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_NETWORK = "[Match]\nName=en*\n[Network]\nDHCP=ipv4\n"
_CUSTOMIZE = f"""
set -e
tar -x --no-same-owner -C "$1" -f "{{tree}}"
chroot "$1" systemctl --quiet enable systemd-networkd
chroot "$1" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer systemd-networkd-wait-online
# Whoever has caches elsewhere has them so on this host, not in the guest.
chroot "$1" env -u FAME_LAB_CACHE -u XDG_CACHE_HOME HOME=/root sh -ec '
    {CLONE}/.ci/setup unit
    {CLONE}/.venv/bin/fame-lab qemu get' >&2
rm -rf "$1/var/cache/apt/archives"/*.deb "$1/root/.cache"
"""
#: As the kit's own disks are made: without a loop device or a mount. There is no boot loader on it.
_MAKE_DISK = """
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$scratch/root"
tar -x --numeric-owner --xattrs --xattrs-include='*' --exclude='./dev/*' -C "$scratch/root"
mke2fs -q -t ext4 -m 1 -d "$scratch/root" "$scratch/disk" 16G >&2
qemu-img convert -f raw -O qcow2 "$scratch/disk" "$scratch/qcow2"
cat "$scratch/qcow2"
"""
#: Without mitigations and polling, which cost more here than what they save.
_CMDLINE = "root=/dev/vda rw console=ttyS0 panic=-1 mitigations=off no_timer_check kvm.halt_poll_ns=0"
#: What its kernel writes where the emulator has failed it.
_BROKEN = ("Kernel panic", "soft lockup", "blocked for more than", "rcu_preempt detected stalls")


@dataclass(frozen=True)
class NestedImage:
    """The image that the guest boots, and the key that lets us in."""

    disk: Path
    kernel: Path
    initrd: Path
    key: Path


@dataclass(frozen=True)
class NestedHost:
    """The guest while it runs."""

    process: subprocess.Popen[bytes]
    ssh: tuple[str, ...]
    console: Path

    def broke(self) -> bool:
        """Return whether the guest itself has failed, and not a program in it."""
        output = self.console.read_text(errors="replace")
        return self.process.poll() is not None or any(words in output for words in _BROKEN)

    def run(self, command: str, *, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run a command by its shell, in the clone, in at most `timeout` seconds."""
        return subprocess.run(
            [*self.ssh, f"cd {CLONE} && {command}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=timeout, check=False,
        )  # fmt: skip


def build(directory: Path) -> NestedImage:
    """Build the image from Debian's packages and this repository's last commit, in 10 GB of room."""
    image = NestedImage(*(directory / name for name in ("disk.qcow2", "kernel", "initrd", "key")))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", image.key], check=True)
    archive = directory / "root.tar"
    with debian_build._room() as room:
        tree = _tree(directory, room, image.key.with_suffix(".pub").read_text())
        command = [
            *("mmdebstrap", "--variant=minbase", "--architectures=amd64", f"--include={','.join(_PACKAGES)}"),
            *("--format=tar", '--aptopt=APT::Install-Recommends "false"'),
            f"--customize-hook={_CUSTOMIZE.format(tree=tree)}",
            *(debian_build.SUITE, str(archive)),
        ]
        debian_build._run("install a Debian and fame_lab in it", [*debian_build._APART, *command], room=room)
        with archive.open("rb") as source, image.disk.open("wb") as target:
            script = [*debian_build._as_root(), "sh", "-c", _MAKE_DISK]
            debian_build._run("make a disk of it", script, source=source, target=target, room=room)
    for pattern, file in (("./boot/vmlinuz-*", image.kernel), ("./boot/initrd.img-*", image.initrd)):
        words = ["tar", "-x", "-O", "-f", str(archive), "--wildcards", pattern]
        file.write_bytes(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)
    archive.unlink()
    return image


def _tree(directory: Path, room: Path, key: str) -> Path:
    """Write an archive of the guest's files besides packages."""
    root = directory / "tree"
    clone = ["git", "clone", "--quiet", "--no-hardlinks", "--depth=1", ROOT.as_uri(), f"{root}{CLONE}"]
    subprocess.run(["git", "-c", "safe.directory=*", *clone[1:]], check=True)
    files = [
        ("root/.ssh/authorized_keys", key, 0o600),
        ("etc/systemd/network/80-dhcp.network", _NETWORK, 0o644),
        ("etc/hostname", "nested\n", 0o644),
        ("etc/fstab", "/dev/vda / ext4 defaults 0 1\n", 0o644),
    ]
    if _CERTIFICATES.is_file():
        files.append((str(_CERTIFICATES.relative_to("/")), _CERTIFICATES.read_text(), 0o644))
    for path, content, mode in files:
        (target := root / path).parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
        target.chmod(mode)
    (root / "root").chmod(0o700)
    (root / "root/.ssh").chmod(0o700)
    archive = room / "tree.tar"
    subprocess.run(
        ["tar", "-c", "-C", root, "-f", archive, *(each.name for each in root.iterdir())], check=True
    )
    archive.chmod(0o644)
    shutil.rmtree(root)
    return archive


@contextlib.contextmanager
def nested_host(image: NestedImage) -> Iterator[NestedHost]:
    """Boot the guest, and end it. Its disk goes with it."""
    with tempfile.TemporaryDirectory(dir=image.disk.parent) as scratch, contextlib.ExitStack() as undo:
        console, known = Path(scratch, "console"), Path(scratch, "known_hosts")
        console.touch()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL"),
                *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
                *("-accel", "tcg,thread=multi"),
                # With la57 its kernel would have five levels of page tables; with erms or fsrm it would copy
                # by string moves, which are emulated byte by byte.
                *("-cpu", "max,la57=off,erms=off,fsrm=off"),
                *("-machine", "q35", "-smp", "1", "-m", "4G", "-device", "virtio-rng-pci"),
                *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
                *("-append", _CMDLINE),
                *("-drive", f"file={image.disk},if=virtio,format=qcow2,snapshot=on,cache=unsafe"),
                *("-netdev", f"user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"),
                *("-device", "virtio-net-pci,netdev=n", "-serial", f"file:{console}"),
            ],
            stdin=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": scratch},
        )  # fmt: skip
        undo.callback(_end, process)
        ssh = (
            *("ssh", "-F", "none", "-i", str(image.key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
            *("-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={known}"),
            *("-o", "LogLevel=ERROR", "-o", "ServerAliveInterval=60", "-o", "ServerAliveCountMax=10"),
            *("-p", str(port), "root@127.0.0.1"),
        )
        host = NestedHost(process, ssh, console)
        _await(host)
        yield host


def _await(host: NestedHost) -> None:
    end = time.monotonic() + BOOT_DEADLINE
    while host.process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if host.run("test -c /dev/kvm", timeout=60).returncode == 0:
                return
        time.sleep(1)
    raise AssertionError(
        f"the nested host did not come up: {host.console.read_text(errors='replace')[-2000:]}"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(LAST_WORD)
