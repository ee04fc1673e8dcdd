"""Make a Debian from its packages by mmdebstrap, and a disk of it that a BIOS boots.

It works as root, and as a user with further user numbers (/etc/subuid): mmdebstrap chooses.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from fame_lab.core.paths import program_path
from fame_lab.errors import ImageError

__all__ = ["DISK_MIB", "SUITE", "build", "files", "inputs", "kernel_release", "missing", "versions"]

SUITE = "bookworm"
#: The largest size of the disk; its file takes only the room of its content.
DISK_MIB = 8192
#: A node cannot do without these. tiny-initramfs makes one of 90 KiB, and initramfs-tools one of 13 MB, which
#: an emulated BIOS reads for seconds. The cloud kernel has the file system built in.
PACKAGES = (
    "usr-is-merged", "linux-image-cloud-amd64", "tiny-initramfs", "systemd-sysv", "systemd-resolved", "udev",
    "openssh-server", "pciutils", "iproute2", "iputils-ping", "procps", "kmod", "ca-certificates", "less",
    "nano",
)  # fmt: skip
#: Units that systemd would start and no node needs. Emulated, each costs a tenth of a second up to some; all
#: of them, with udev's look at every device, take half of a boot.
MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "serial-getty@ttyS0.service", "getty@tty1.service",
    "dbus.service", "dbus.socket", "systemd-logind.service", "systemd-network-generator.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service", "systemd-journal-flush.service", "systemd-remount-fs.service",
    "systemd-random-seed.service", "systemd-sysusers.service", "systemd-pstore.service",
    "systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "systemd-boot-system-token.service",
    "systemd-ask-password-console.path", "systemd-ask-password-wall.path", "systemd-initctl.socket",
    "systemd-journald-audit.socket", "systemd-tmpfiles-setup-dev.service", "kmod-static-nodes.service",
    "sys-kernel-config.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount",
    "dev-hugepages.mount", "dev-mqueue.mount",
    *(f"modprobe@{module}.service" for module in ("configfs", "dm_mod", "drm", "efi_pstore", "fuse", "loop")),
)  # fmt: skip
_GENERATORS = (
    "cryptsetup", "getty", "gpt-auto", "hibernate-resume", "integritysetup", "rc-local", "run",
    "system-update", "sysv", "veritysetup",
)  # fmt: skip
#: Keys and random numbers must not be the same in two nodes, so none is in the image. A machine makes up its
#: machine-id at each boot, as the file is empty.
_CUSTOMIZE = f"""
# What came before our etc/dpkg/dpkg.cfg.d/fame. (mmdebstrap can leave it out, by a Python program a package.)
find "$1/usr/share/doc" ! -type d ! -name copyright -delete
rm -rf "$1"/usr/share/man/* "$1"/usr/share/locale/*
rm -f "$1"/etc/ssh/ssh_host_* "$1"/var/lib/systemd/random-seed
: >"$1/etc/machine-id"
ln -sf ../run/systemd/resolve/resolv.conf "$1/etc/resolv.conf"
mkdir -m 700 -p "$1/root/.ssh"
mkdir -p "$1/etc/systemd/system-generators"
for each in {" ".join(_GENERATORS)}; do
    ln -s /dev/null "$1/etc/systemd/system-generators/systemd-$each-generator"
done
chroot "$1" systemctl --quiet disable systemd-resolved
chroot "$1" systemctl --quiet enable systemd-networkd fame-own fame-ready
chroot "$1" systemctl --quiet mask {" ".join(MASKED)}
"""
_GRUB = Path("/usr/lib/grub/i386-pc")
_GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "linux", "normal", "configfile", "boot")
_HERE = Path(__file__).parent.parent
_TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "mke2fs": "e2fsprogs",
    "sfdisk": "fdisk",
    "grub-mkimage": "grub-common",
}
_SECONDS = 1800.0
#: As root, mmdebstrap mounts /proc, /sys and this host's /dev/shm into its tree. When it is killed it leaves
#: them there, and the removal of the tree empties /dev/shm. In namespaces of its own they end with it.
_APART = ["unshare", "--mount", "--pid", "--fork", "--kill-child"] if os.geteuid() == 0 else []
_ADVICE = (
    "Check that this host reaches deb.debian.org and security.debian.org and that $TMPDIR (or /tmp) and the "
    "cache have 2 GB free, then try again."
)


def files() -> dict[str, Path]:
    """Return the files written for this Debian, by their path in it."""
    own = {
        path.relative_to(_HERE / "debian").as_posix(): path
        for path in (_HERE / "debian").rglob("*")
        if path.is_file()
    }
    return own | {"usr/sbin/fam-link": _HERE / "files/usr/sbin/fam-link"}


def inputs(packages: Sequence[str]) -> list[str]:
    """Return all inputs of a build, except the packages' versions."""
    return [
        *(f"{path} {file.read_bytes()!r}" for path, file in sorted(files().items())),
        (_HERE / "debian_disk.sh").read_text(),
        repr((SUITE, DISK_MIB, PACKAGES, MASKED, _CUSTOMIZE, _GRUB_MODULES, sorted(packages))),
    ]


def build(scratch: Path, packages: Sequence[str], on_stage: Callable[[str], None]) -> tuple[Path, Path]:
    """Build the disk; it takes the network, some minutes under load, and 2 GB for a while.

    Parameters
    ----------
    scratch : Path
        An empty directory.
    packages : sequence of str
        Names of its packages besides the usual.
    on_stage : callable
        Called with a few words at each stage.

    Returns
    -------
    tuple of Path
        The disk, a qcow2 file; and dpkg's list of its packages.

    Raises
    ------
    ImageError
        If a tool is missing or fails, with its messages.
    """
    if lacking := missing():
        raise ImageError(
            f"to build a Debian image this host lacks {', '.join(lacking)}: "
            f"apt-get install --no-install-recommends {' '.join(lacking)}, or `make setup`"
        )
    tree, archive, status, disk = (scratch / name for name in ("tree", "root.tar", "status", "disk.qcow2"))
    _lay_out(tree)
    names = ",".join(dict.fromkeys([*PACKAGES, *packages]))
    command = [
        *("mmdebstrap", "--variant=minbase", "--architectures=amd64", f"--include={names}"),
        *("--format=tar", '--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"'),
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        # Before the kernel comes: these files configure its initramfs.
        f"--essential-hook=sync-in {tree} /",
        f"--customize-hook={_CUSTOMIZE}",
        f"--customize-hook=download /var/lib/dpkg/status {status}",
        *(SUITE, str(archive)),
    ]
    script = ["sh", "-c", (_HERE / "debian_disk.sh").read_text(), "debian-disk", str(DISK_MIB)]
    with _room() as room:
        _run(f"install Debian's packages {names}", [*_APART, *command], on_stage, room=room)
        on_stage("making the disk")
        with archive.open("rb") as source, disk.open("wb") as target:
            _run("make a disk of it", [*_as_root(), *script], on_stage, source, target, room=room)
    archive.unlink()
    return disk, status


def versions(status: str) -> dict[str, str]:
    """Read dpkg's list of installed packages: versions by package."""
    stanzas = re.findall(r"^Package: (\S+)$.*?^Version: (\S+)$", status, re.MULTILINE | re.DOTALL)
    return dict(stanzas)


def kernel_release(installed: dict[str, str]) -> str:
    """Return the release of the kernel among the installed packages.

    Raises
    ------
    ImageError
        If there is not exactly one.
    """
    releases = [
        name.removeprefix("linux-image-") for name in installed if re.match(r"linux-image-[0-9]", name)
    ]
    if len(releases) != 1:
        raise ImageError(
            f"the image has {len(releases)} kernels ({', '.join(releases) or 'none'}) where one was expected",
            hint="leave kernels out of its packages",
        )
    return releases[0]


def missing() -> list[str]:
    """List the packages that a build needs and that this host lacks."""
    lacking = [package for tool, package in _TOOLS.items() if shutil.which(tool, path=program_path()) is None]
    if not (_GRUB / "boot.img").is_file():
        lacking.append("grub-pc-bin")
    if os.geteuid() != 0 and shutil.which("newuidmap") is None:
        lacking.append("uidmap")
    return lacking


@contextlib.contextmanager
def _room() -> Iterator[Path]:
    """Create a directory for the tools' own files, which is removed even if a tool fails."""
    room = Path(tempfile.mkdtemp(prefix="fame_lab-image-"))
    # apt's user has to pass through it. Root of a user's namespace, another user here, has to write to it.
    room.chmod(0o755 if os.geteuid() == 0 else 0o1777)
    try:
        yield room
    finally:
        # Removed as the user that made it. It has no mounts: those are in namespaces that have ended.
        clear = ["find", str(room), "-xdev", "-mindepth", "1", "-delete"]
        subprocess.run([*_as_root(), *clear], capture_output=True, check=False)
        shutil.rmtree(room, ignore_errors=True)


def _as_root() -> list[str]:
    """Return the command that makes another one root, and owner of all users' files, where we are not."""
    return [] if os.geteuid() == 0 else ["mmdebstrap", "--unshare-helper"]


def _lay_out(tree: Path) -> None:
    """Write our files and the boot loader to their places in the image, with their modes there."""
    for path, source in files().items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        target.chmod(0o755 if source.read_bytes().startswith(b"#!") else 0o644)
    grub = tree / "boot/grub/i386-pc"
    grub.mkdir(parents=True)
    shutil.copyfile(_GRUB / "boot.img", grub / "boot.img")
    prefix = ["--format=i386-pc", "--prefix=(hd0,msdos1)/boot/grub"]
    _run("make the boot loader", ["grub-mkimage", *prefix, f"--output={grub / 'core.img'}", *_GRUB_MODULES])
    for directory, _, _ in os.walk(tree):
        Path(directory).chmod(0o755)  # whatever the umask


def _run(
    step: str,
    command: list[str],
    on_stage: Callable[[str], None] = lambda _words: None,
    source: IO[bytes] | int = subprocess.DEVNULL,
    target: IO[bytes] | int = subprocess.DEVNULL,
    room: Path | None = None,
) -> None:
    """Run a tool in a session of its own; report the stages that it writes, and end all that it started."""
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "PATH": program_path(),
        **({} if room is None else {"TMPDIR": str(room)}),
    }
    lines: list[str] = []
    process = subprocess.Popen(
        command, stdin=source, stdout=target, stderr=subprocess.PIPE, text=True, errors="replace",
        env=environment, start_new_session=True,
    )  # fmt: skip
    timer = threading.Timer(_SECONDS, process.kill)
    timer.start()
    with process:
        try:
            for line in process.stderr or ():
                lines = [*lines[-30:], line.rstrip()]
                if line.startswith("I: "):
                    on_stage(line.removeprefix("I: ").strip().rstrip("."))
            process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                # Cancelled. Its files are removed with its room, and its mounts with their namespace.
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        words = "\n".join(line for line in lines if line)[-2000:]
        raise ImageError(f"could not {step}: status {process.returncode}:\n{words}\n{_ADVICE}")
