"""Debian disk images in the cache: what there is, and how it is built when it is missing.

Each image has a directory, which a rebuild leaves behind for the labs that run on it::

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

from fame_lab.core import cache
from fame_lab.core.cache import cache_directory, own_cache
from fame_lab.core.jobs.progress import job
from fame_lab.core.lab_directory import LabDirectory
from fame_lab.core.sanitize import quoted
from fame_lab.errors import ImageError, SpecError
from fame_lab.guest.images import debian_build, overlay
from fame_lab.guest.images.base import DiskBoot, Identity, private_key
from fame_lab.spec.lab_spec import is_debian
from fame_lab.spec.validation import MIN_DISK_MEMORY

__all__ = ["DiskImage", "build", "built", "ensure", "is_current", "load", "root"]

_RECORD = "image.json"
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")


@dataclass(frozen=True)
class DiskImage:
    """A Debian on a disk, of which each node has an overlay.

    Parameters
    ----------
    name : str
    disk : Path
        A qcow2 file that nobody writes to; it holds no key, and nobody can log in.
    digest : str
        Hexadecimal SHA-256 over the inputs of its build.
    kernel_release : str
        The output of ``uname -r`` in the guest, until the guest installs another kernel.
    packages : tuple of str
        The requested packages besides the usual.
    installed : dict
        Versions by package.
    built : str
        Time of the build, as ISO 8601 in UTC.
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
        """The files that QEMU's user has to be able to read."""
        return (self.disk,)

    @staticmethod
    def least_memory(vcpus: int) -> int:  # noqa: ARG004 - measured with one
        """Return this Debian's least memory; see :class:`fame_lab.guest.images.base.Image`."""
        return MIN_DISK_MEMORY

    def boot(self, identity: Identity, directory: LabDirectory, *, tsc_khz: int | None) -> DiskBoot:  # noqa: ARG002 - its boot loader has the command line
        """Return the node's overlay of the disk; see :class:`fame_lab.guest.images.base.Image`."""
        return DiskBoot(overlay.overlay(directory, identity.node, self.disk), self.disk)

    @staticmethod
    def personal(identity: Identity) -> dict[str, bytes]:
        """Return name, keys and addresses, as fame-own.service reads them."""
        return {
            "node": identity.node.encode() + b"\n",
            "hosts": f"127.0.0.1 localhost\n127.0.1.1 {identity.node}\n".encode(),
            "authorized_keys": identity.authorized_key.strip().encode() + b"\n",
            "host_key": private_key(identity.host_key),
            **(identity.attachment.personal() if identity.attachment else {}),
        }


def root() -> Path:
    """Return the directory of the images."""
    directory = cache_directory() / "images"
    return directory if directory.is_dir() else own_cache() / "images"


def ensure(name: str, on_stage: Callable[[str], None] | None = None) -> DiskImage:
    """Return an image, built if it is missing or was built by another version of this kit.

    Raises
    ------
    SpecError
        If it is one with further packages that was never built: nobody knows its packages.
    ImageError
        If it cannot be built.
    """
    images = built(name)
    if not images and name != "debian":
        names = ", ".join(sorted({image.name for image in built()} | {"debian"}))
        raise SpecError(
            f"there is no image {quoted(name)} (there: {names})",
            hint=f"build it with `fame-lab image build {name} --packages ...`",
        )
    return build(name, images[-1].packages if images else (), on_stage)


def build(
    name: str, packages: Sequence[str] = (), on_stage: Callable[[str], None] | None = None
) -> DiskImage:
    """Return the image with these packages besides the usual, built if it is missing.

    Two processes may call it at once: one builds, the other waits.

    Parameters
    ----------
    name : str
        ``debian``, or ``debian-`` and a word of your own.
    packages : sequence of str
        Debian's names.
    on_stage : callable, optional
        Called with a few words at each stage, instead of a bar.

    Raises
    ------
    SpecError
        If a name cannot be one.
    ImageError
        If it cannot be built: the step, the tool's messages, and a remedy.
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
    extra = tuple(sorted(set(packages)))
    directory = root() / name / _digest(name, extra)
    if image := load(directory):
        with contextlib.suppress(OSError):  # of a cache that we may only read
            # By the clock itself: the kernel's own times are equal for two within some milliseconds.
            os.utime(directory / _RECORD, ns=(time.time_ns(), time.time_ns()))
        return image
    try:
        with job(f"image {name}", shown=on_stage is None) as building, cache.changing(directory.parent):

            def report(words: str) -> None:
                building.describe(words)
                if on_stage is not None:
                    on_stage(f"image {name}: {words}")

            return load(directory) or _build(directory, name, extra, report)
    except OSError as error:
        raise ImageError(
            f"could not write the image {name} under {root()}: {error.strerror} ({error.filename}). It takes "
            "2 GB for a while",
            hint="make room, or set FAME_LAB_CACHE to a directory that you can write to",
        ) from error


def built(name: str | None = None) -> list[DiskImage]:
    """List the images of one name, or all; the last used comes last.

    Images of equal times are in the order of their paths: the order in a directory is the file system's own.
    """
    paths = root().glob(f"{name or '*'}/*/{_RECORD}")
    records = sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path))
    return [image for image in map(load, (path.parent for path in records)) if image is not None]


def is_current(image: DiskImage) -> bool:
    """Return whether it would be built so now; of two with other packages the last used is current."""
    newest = built(image.name)[-1]
    return image.digest == newest.digest == _digest(image.name, newest.packages)


def load(directory: Path) -> DiskImage | None:
    """Read an image; None if it is missing, or not whole."""
    try:
        record = json.loads((directory / _RECORD).read_text())
        return DiskImage(
            name=directory.parent.name,
            disk=directory / "disk.qcow2",
            digest=directory.name,
            kernel_release=str(record["kernel_release"]),
            packages=tuple(record["packages"]),
            installed=dict(record["installed"]),
            built=str(record["built"]),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _build(
    directory: Path, name: str, packages: tuple[str, ...], on_stage: Callable[[str], None]
) -> DiskImage:
    with cache.scratch(directory.parent) as scratch:
        disk, status = debian_build.build(scratch, packages, on_stage)
        installed = debian_build.versions(status.read_text())
        folder = scratch / "image"
        folder.mkdir()
        disk.rename(folder / "disk.qcow2")
        record = {
            "kernel_release": debian_build.kernel_release(installed),
            "packages": packages,
            "installed": installed,
            "built": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        (folder / _RECORD).write_text(json.dumps(record, indent=1))
        for path in (*folder.iterdir(), folder):  # whatever the umask: libvirt's QEMU runs as another user
            path.chmod(0o755 if path.is_dir() else 0o644)
        folder.rename(directory)
    image = load(directory)
    if image is None:
        raise ImageError(f"the image {name} was built and is gone from {directory}", hint="build it again")
    return image


def _digest(name: str, packages: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join([name, *debian_build.inputs(packages)]).encode()).hexdigest()
