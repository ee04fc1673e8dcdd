"""Debian disk images in the cache: what there is, and how it is built when it is missing.

One directory an image, which a rebuild leaves behind for the labs that run on it::

    images/<name>/<digest>/       disk.qcow2, image.json: packages with their versions, kernel, when built
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fame_lab.core import cache
from fame_lab.core.cache import cache_directory, own_cache
from fame_lab.core.jobs.progress import job
from fame_lab.core.lab_directory import LabDirectory
from fame_lab.core.sanitize import quoted
from fame_lab.errors import ImageError, SpecError
from fame_lab.guest.images import debian_build, overlay
from fame_lab.guest.images.base import DiskBoot, Identity
from fame_lab.spec.lab_spec import is_debian
from fame_lab.spec.validation import MIN_DISK_MEMORY

__all__ = ["DiskImage", "build", "built", "ensure", "is_current", "load", "root"]

_RECORD = "image.json"
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")


@dataclass(frozen=True)
class DiskImage:
    """A Debian on a disk, which each node has a thin layer of its own above.

    Parameters
    ----------
    name : str
    disk : Path
        A qcow2 file that nobody writes to; it holds no key and lets nobody in.
    digest : str
        Hexadecimal SHA-256 over what it was asked to be.
    kernel_release : str
        What ``uname -r`` says in the guest, until the guest installs another kernel.
    packages : tuple of str
        What was asked for besides the usual.
    installed : dict
        Versions by package.
    built : str
        When, as ISO 8601 in UTC.
    """

    name: str
    disk: Path
    digest: str
    kernel_release: str
    packages: tuple[str, ...]
    installed: dict[str, str]
    built: str

    says_ready: ClassVar[bool] = True
    has_probe: ClassVar[bool] = False
    deadline: ClassVar[float] = 480.0

    @property
    def files(self) -> tuple[Path, ...]:
        """What QEMU's user has to be able to read."""
        return (self.disk,)

    @staticmethod
    def least_memory(vcpus: int) -> int:  # noqa: ARG004 - measured with one
        """Return what this Debian comes up with; see :class:`fame_lab.guest.images.base.Image`."""
        return MIN_DISK_MEMORY

    def boot(self, identity: Identity, directory: LabDirectory, *, tsc_khz: int | None) -> DiskBoot:  # noqa: ARG002 - its boot loader has the command line
        """Return the node's own layer above the disk; see :class:`fame_lab.guest.images.base.Image`."""
        return DiskBoot(overlay.overlay(directory, identity.node, self.disk), self.disk)

    @staticmethod
    def personal(identity: Identity) -> dict[str, bytes]:
        """Return name, keys and addresses, as fame-own.service reads them."""
        key = identity.host_key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        return {
            "node": identity.node.encode() + b"\n",
            "hosts": f"127.0.0.1 localhost\n127.0.1.1 {identity.node}\n".encode(),
            "authorized_keys": identity.authorized_key.strip().encode() + b"\n",
            "host_key": key,
            **(identity.attachment.personal() if identity.attachment else {}),
        }


def root() -> Path:
    """Return the directory of the images."""
    given = cache_directory() / "images"
    return given if given.is_dir() else own_cache() / "images"


def ensure(name: str, tell: Callable[[str], None] | None = None) -> DiskImage:
    """Return an image, building it if it is missing, or was built by another version of this kit.

    Raises
    ------
    SpecError
        If it is one with further packages that was never built, so that nobody knows which.
    ImageError
        If it cannot be built.
    """
    known = built(name)
    if not known and name != "debian":
        there = ", ".join(sorted({image.name for image in built()} | {"debian"}))
        raise SpecError(
            f"there is no image {quoted(name)} (there: {there})",
            hint=f"build it with `fame-lab image build {name} --packages ...`",
        )
    return build(name, known[-1].packages if known else (), tell)


def build(name: str, packages: Sequence[str] = (), tell: Callable[[str], None] | None = None) -> DiskImage:
    """Return the image with these packages besides the usual; built unless it is there.

    Two processes may call it at once: one builds, the other waits.

    Parameters
    ----------
    name : str
        ``debian``, or ``debian-`` and something of your own.
    packages : sequence of str
        Debian's names.
    tell : callable, optional
        Told in a few words what goes on, instead of a bar.

    Raises
    ------
    SpecError
        If a name cannot be one.
    ImageError
        If it cannot be built: the step, what the tool said, and what to do.
    """
    if not is_debian(name):
        raise SpecError(
            f"an image cannot be named {quoted(name)}", hint="give 'debian', or 'debian-' with a-z, 0-9 and -"
        )
    for package in packages:
        if not _PACKAGE.fullmatch(package):
            raise SpecError(
                f"{quoted(package)} is no package's name", hint="give those of Debian, such as gcc or make"
            )
    wanted = tuple(sorted(set(packages)))
    directory = root() / name / _digest(name, wanted)
    if found := load(directory):
        with contextlib.suppress(OSError):  # of a cache that others may read alone
            # By the clock itself: what the kernel would note is the same for two within some milliseconds.
            os.utime(directory / _RECORD, ns=(time.time_ns(), time.time_ns()))
        return found
    try:
        with job(f"image {name}", shown=tell is None) as building, cache.changing(directory.parent):

            def told(words: str) -> None:
                building.describe(words)
                if tell is not None:
                    tell(f"image {name}: {words}")

            return load(directory) or _build(directory, name, wanted, told)
    except OSError as error:
        raise ImageError(
            f"could not write the image {name} under {root()}: {error.strerror} ({error.filename}). It takes "
            "2 GB for a while",
            hint="make room, or set FAME_LAB_CACHE to a directory that you can write to",
        ) from error


def built(name: str | None = None) -> list[DiskImage]:
    """List the images of one name, or all; last the one that was asked for last.

    Images of equal times are in the order of their paths: that of a directory is the file system's own.
    """
    there = root().glob(f"{name or '*'}/*/{_RECORD}")
    records = sorted(there, key=lambda path: (path.stat().st_mtime_ns, path))
    return [image for image in map(load, (path.parent for path in records)) if image is not None]


def is_current(image: DiskImage) -> bool:
    """Return whether it would be built so now; of two with other packages it is the one asked for last."""
    newest = built(image.name)[-1]
    return image.digest == newest.digest == _digest(image.name, newest.packages)


def load(directory: Path) -> DiskImage | None:
    """Read an image; None if it is not there, or not whole."""
    try:
        told = json.loads((directory / _RECORD).read_text())
        return DiskImage(
            name=directory.parent.name,
            disk=directory / "disk.qcow2",
            digest=directory.name,
            kernel_release=str(told["kernel_release"]),
            packages=tuple(told["packages"]),
            installed=dict(told["installed"]),
            built=str(told["built"]),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _build(directory: Path, name: str, packages: tuple[str, ...], tell: Callable[[str], None]) -> DiskImage:
    with cache.scratch(directory.parent) as scratch:
        disk, status = debian_build.build(scratch, packages, tell)
        installed = debian_build.versions(status.read_text())
        image = scratch / "image"
        image.mkdir()
        disk.rename(image / "disk.qcow2")
        told = {
            "kernel_release": debian_build.kernel_release(installed),
            "packages": packages,
            "installed": installed,
            "built": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        (image / _RECORD).write_text(json.dumps(told, indent=1))
        for path in (*image.iterdir(), image):  # whatever the umask: libvirt's QEMU runs as another user
            path.chmod(0o755 if path.is_dir() else 0o644)
        image.rename(directory)
    found = load(directory)
    if found is None:
        raise ImageError(f"the image {name} was built and is gone from {directory}", hint="build it again")
    return found


def _digest(name: str, packages: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join([name, *debian_build.inputs(packages)]).encode()).hexdigest()
