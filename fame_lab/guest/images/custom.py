"""A user's own image: a qcow2 with cloud-init, or a kernel and an initramfs. It is read, never written."""

from __future__ import annotations

import hashlib
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.core.sizes import KIB
from fame_lab.errors import SpecError
from fame_lab.guest.images import cloud_init, cpio, overlay
from fame_lab.guest.images.appliance import Appliance
from fame_lab.guest.images.base import DiskBoot, Identity, KernelBoot, private_key, public_key
from fame_lab.guest.images.least_memory import least_memory
from fame_lab.spec.validation import MIN_DISK_MEMORY

__all__ = ["CustomDisk", "CustomKernel", "find"]

#: The start of a qcow2 file, version 3: docs/interop/qcow2.txt of QEMU.
_HEADER = struct.Struct(">4sIQIIQI36xQ")
#: Of a bzImage (Documentation/arch/x86/boot.rst of Linux); QEMU boots an ELF file with a note for it, too.
_BOOT_MAGIC = slice(0x202, 0x206)
_MAGIC = b"QFI\xfb"
_EXTERNAL_DATA = 1 << 2
#: Bytes that a node's own files take at most, in the archive and unpacked.
_PERSONAL = 32 * KIB


@dataclass(frozen=True)
class CustomDisk:
    """A disk with cloud-init in it, which reads name and keys from a seed.

    Parameters
    ----------
    path : Path
    digest : str
        Hexadecimal SHA-256 over its path, size and time of change: the file itself may be many gigabytes.
    """

    path: Path
    digest: str

    kernel_release: ClassVar[str] = "of the user's image"
    says_ready: ClassVar[bool] = False
    has_probe: ClassVar[bool] = False
    deadline: ClassVar[float] = 1200.0  # cloud-init is Python, and emulated

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that QEMU's user has to be able to read."""
        return (self.path,)

    @staticmethod
    def least_memory(vcpus: int) -> int:  # noqa: ARG004 - nobody looks into the disk
        """Return a Debian's least memory; see :class:`fame_lab.guest.images.base.Image`."""
        return MIN_DISK_MEMORY

    def boot(self, identity: Identity, directory: LabDirectory, *, tsc_khz: int | None) -> DiskBoot:  # noqa: ARG002 - its boot loader has the command line
        """Return the node's overlay and its seed; see :class:`fame_lab.guest.images.base.Image`."""
        seed = directory.seed(identity.node)
        seed.unlink(missing_ok=True)
        directory.write(seed, cloud_init.iso(cloud_init.documents(identity)))
        directory.grant_to_qemu(seed, 0o640)
        return DiskBoot(overlay.overlay(directory, identity.node, self.path), self.path, seed)

    @staticmethod
    def personal(identity: Identity) -> dict[str, bytes]:  # noqa: ARG004 - the seed has it
        """Return nothing: the seed has it."""
        return {}


@dataclass(frozen=True)
class CustomKernel:
    """A kernel and an initramfs, which gets name and keys as files appended to it.

    Parameters
    ----------
    kernel, initrd : Path
    digest : str
        See :class:`CustomDisk`.
    """

    kernel: Path
    initrd: Path
    digest: str

    kernel_release: ClassVar[str] = "of the user's image"
    says_ready: ClassVar[bool] = False
    has_probe: ClassVar[bool] = False
    deadline: ClassVar[float] = 480.0

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that QEMU's user has to be able to read."""
        return self.kernel, self.initrd

    def least_memory(self, vcpus: int) -> int:
        """Return the bytes of memory that they need; see :class:`fame_lab.guest.images.base.Image`."""
        return least_memory(self.kernel, self.initrd, vcpus, more=_PERSONAL)

    def boot(self, identity: Identity, directory: LabDirectory, *, tsc_khz: int | None) -> KernelBoot:
        """Return the kernel, and the initramfs with the node's files added."""
        initrd = directory.initrd(identity.node)
        initrd.unlink(missing_ok=True)
        common = self.initrd.read_bytes()
        # Linux takes several archives, one after the other, each from a multiple of four bytes.
        directory.write(initrd, common + bytes(-len(common) % 4) + cpio.archive(_personal_files(identity)))
        directory.grant_to_qemu(initrd, 0o640)
        return KernelBoot(self.kernel, initrd, Appliance.cmdline(tsc_khz=tsc_khz))

    @staticmethod
    def personal(identity: Identity) -> dict[str, bytes]:
        """Return the files of the appliance, for an /init that is like its own."""
        return Appliance.personal(identity)


def find(path: Path) -> CustomDisk | CustomKernel:
    """Return a user's image, checked.

    Parameters
    ----------
    path : Path
        A qcow2 file, or a directory with ``kernel`` and ``initrd``.

    Raises
    ------
    SpecError
        If it does not exist, is neither, or would make QEMU open further files.
    """
    try:
        if path.is_dir():
            kernel, initrd = path / "kernel", path / "initrd"
            if refusal := _kernel_refusal(kernel):
                raise _wrong(path, refusal)
            return CustomKernel(kernel, initrd, _digest(kernel, initrd))
        if refusal := _refusal(path):
            raise _wrong(path, refusal)
        return CustomDisk(path, _digest(path))
    except OSError as error:
        raise _wrong(path, f"{error.filename}: {error.strerror}") from error


def _kernel_refusal(kernel: Path) -> str:
    """Return why QEMU would not boot a file as a kernel; nothing if it would try."""
    if not stat.S_ISREG(kernel.stat().st_mode):
        return "its `kernel` is no file"
    with kernel.open("rb") as file:
        start = file.read(_BOOT_MAGIC.stop)
    if start.startswith(b"\x7fELF") or start[_BOOT_MAGIC] == b"HdrS":
        return ""
    return "its `kernel` is no Linux kernel for x86: give a bzImage, such as /boot/vmlinuz"


def _refusal(path: Path) -> str:
    """Return why a file cannot be a node's disk; nothing if it can.

    Its header is read here and not by qemu-img, which would open the file that the header names: one of the
    host's, or a server's.
    """
    with path.open("rb") as file:
        start = file.read(_HEADER.size)
    if len(start) < _HEADER.size or not start.startswith(_MAGIC):
        return "it is no qcow2 file; make one with `qemu-img convert -f raw -O qcow2 IT NEW`"
    _, version, backing, _, _, _, encrypted, incompatible = _HEADER.unpack(start)
    if version not in (2, 3):
        return f"it is qcow2 of version {version}, which QEMU does not know"
    if backing or (version == 3 and incompatible & _EXTERNAL_DATA):
        return (
            "it is a layer above another file, which could be any file of this host; "
            "make it stand alone with `qemu-img convert -O qcow2 IT NEW`, if you trust it"
        )
    if encrypted:
        return "it is encrypted, and nobody could be asked for the password"
    return ""


def _wrong(path: Path, why: str) -> SpecError:
    error = SpecError(
        f"image is {str(path)!r}: {why}",
        hint=(
            "give a qcow2 file with cloud-init in it, or a directory that has a "
            "kernel and an initramfs as `kernel` and `initrd`"
        ),
    )
    error.field = "image"
    return error


def _digest(*paths: Path) -> str:
    lines = [f"{path} {(status := path.stat()).st_size} {status.st_mtime_ns}" for path in paths]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _personal_files(identity: Identity) -> dict[str, cpio.Entry]:
    """Return name and keys, at the paths of OpenSSH and dropbear."""
    key = identity.host_key
    hosts = (
        identity.attachment.hosts_file
        if identity.attachment
        else f"127.0.0.1 localhost\n127.0.1.1 {identity.node}\n"
    )
    authorized = identity.authorized_key.strip().encode() + b"\n"
    return {
        "etc": cpio.directory(),
        "etc/hostname": cpio.file(identity.node.encode() + b"\n"),
        "etc/hosts": cpio.file(hosts.encode()),
        "etc/ssh": cpio.directory(),
        "etc/ssh/ssh_host_ed25519_key": cpio.file(private_key(key), 0o600),
        "etc/ssh/ssh_host_ed25519_key.pub": cpio.file(public_key(key) + b"\n"),
        "etc/dropbear": cpio.directory(),
        "etc/dropbear/dropbear_ed25519_host_key": cpio.file(Appliance.personal(identity)["host_key"], 0o600),
        "root": cpio.directory(0o700),
        "root/.ssh": cpio.directory(0o700),
        "root/.ssh/authorized_keys": cpio.file(authorized, 0o600),
    }
