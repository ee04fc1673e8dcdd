"""Build the guest image: a distribution's own kernel and an initramfs that holds all a node needs.

It is kept in the cache under a hash of its inputs, and built again when one of these changes::

    appliance/packages/           the .deb files, and packages.json: which ones, as apt verified them
    appliance/<digest>/           kernel, initrd, appliance.json
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fame_lab.core import cache, native
from fame_lab.core.cache import caches, own_cache
from fame_lab.core.jobs.progress import Job, job
from fame_lab.core.lab_directory import LabDirectory
from fame_lab.errors import ImageError, SpecError
from fame_lab.guest.images import apt_packages, bzimage, cpio, rootfs
from fame_lab.guest.images.base import Identity, KernelBoot
from fame_lab.guest.images.least_memory import least_memory

__all__ = ["Appliance", "cached", "ensure", "load"]

#: The same as in guest/probe/awake.c.
SEED_SIZE = 64

_NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Appliance:
    """A guest image in the cache.

    Parameters
    ----------
    kernel : Path
        The file for QEMU's ``-kernel``; world readable.
    initrd : Path
        The initramfs, without keys.
    digest : str
        Hexadecimal SHA-256 over all inputs.
    kernel_release : str
        The output of ``uname -r`` in the guest.
    """

    kernel: Path
    initrd: Path
    digest: str
    kernel_release: str

    says_ready: ClassVar[bool] = True
    has_probe: ClassVar[bool] = True
    deadline: ClassVar[float] = 60.0

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that QEMU's user has to be able to read."""
        return self.kernel, self.initrd

    def least_memory(self, vcpus: int) -> int:
        """Return the bytes of memory that it needs; see :class:`fame_lab.guest.images.base.Image`."""
        return least_memory(self.kernel, self.initrd, vcpus)

    def boot(self, identity: Identity, directory: LabDirectory, *, tsc_khz: int | None) -> KernelBoot:  # noqa: ARG002 - the same for all
        """Return kernel and initramfs, which nodes share; see :class:`fame_lab.guest.images.base.Image`."""
        return KernelBoot(self.kernel, self.initrd, self.cmdline(tsc_khz=tsc_khz))

    @staticmethod
    def cmdline(*, tsc_khz: int | None) -> str:
        """Return the kernel command line of a node.

        Parameters
        ----------
        tsc_khz : int or None
            The host's time stamp counter frequency in kHz, if known.
        """
        words = ["console=ttyS0", "quiet", "panic=-1"]
        words.append("cryptomgr.notests")  # 0.3 s of an emulated boot
        # The guest's clock should be the TSC. By itself Linux takes HPET, which costs 1 µs a reading.
        words += ["tsc=reliable", "no_timer_check"]
        if tsc_khz is not None:
            words.append(f"tsc_early_khz={tsc_khz}")
        return " ".join(words)

    def template_boot(self, *, tsc_khz: int | None) -> KernelBoot:
        """Return the boot of a guest that waits to be saved, and to be restored as one node or another."""
        return KernelBoot(self.kernel, self.initrd, f"{self.cmdline(tsc_khz=tsc_khz)} fame.template")

    @staticmethod
    def personal(identity: Identity) -> dict[str, bytes]:
        """Return name, keys and random bytes, as /init reads them.

        See :class:`fame_lab.guest.images.base.Image`.

        Raises
        ------
        SpecError
            If the node's name is not a host name.
        """
        if not _NODE_NAME.fullmatch(identity.node):
            raise SpecError(f"{identity.node!r} is not a host name", hint="use a-z, 0-9 and -, as in node01")
        return {
            "node": identity.node.encode() + b"\n",
            "authorized_keys": identity.authorized_key.strip().encode() + b"\n",
            "host_key": _dropbear_key(identity.host_key),
            "seed": secrets.token_bytes(SEED_SIZE),
            **(identity.attachment.personal() if identity.attachment else {}),
        }


def ensure(on_stage: Callable[[str], None] | None = None) -> Appliance:
    """Return the guest image, built if it is missing or its inputs have changed.

    It needs the network the first time only. Two processes may call it at once: one builds, the other waits.

    Parameters
    ----------
    on_stage : callable, optional
        Called with a few words at each stage, instead of a bar over the steps. An outer job gets each step in
        any case.

    Raises
    ------
    ImageError
        If it cannot be built: the step, the command's messages, and a remedy.
    """
    if image := cached():
        return image
    root = own_cache() / "appliance"
    try:
        with job("guest image", unit="step", shown=on_stage is None) as building:

            def report(words: str) -> None:
                building.describe(words)
                if on_stage is not None:
                    on_stage(words)

            with cache.changing(root):
                return cached() or _build(root, building, report)
    except OSError as error:
        raise ImageError(
            f"could not write the guest image under {root}: {error.strerror} ({error.filename}). It "
            "takes 300 MB, of Ubuntu's packages 1 GB",
            hint="make room, or set FAME_LAB_CACHE to a directory that you can write to",
        ) from error


def cached() -> Appliance | None:
    """Return the guest image for the present inputs if it is in the cache; none is built or fetched.

    Raises
    ------
    ImageError
        If the probe program, which is part of it, is missing.
    """
    for root in caches("appliance"):
        if (packages := _recorded(root)) and (image := load(root / _digest(packages))):
            return image
    return None


def _build(root: Path, building: Job, on_stage: Callable[[str], None]) -> Appliance:
    debs = root / "packages"
    with cache.scratch(root) as scratch:
        packages = _recorded(root)
        if packages is None or not _intact(debs, packages):
            packages = apt_packages.fetch(debs, scratch / "apt", on_stage)
            _record(root, packages)
        digest = _digest(packages)
        if appliance := load(root / digest):
            return appliance
        # The steps: the fetch, each package, the kernel and the initramfs.
        building.set_total(1 + len(packages) + 2)
        building.step()
        on_stage("unpacking packages")
        tree = scratch / "tree"
        tree.mkdir()
        for package in packages:
            building.describe(f"unpacking {package.name}")
            apt_packages.unpack(debs / package.file, tree)
            building.step()
        on_stage("writing the initramfs")
        image = scratch / "image"
        image.mkdir(mode=0o755)
        kernel, release = rootfs.kernel(tree)
        compressed = kernel.read_bytes()
        _write(image / "kernel", bzimage.uncompressed(compressed) or compressed)
        building.step()
        _write(image / "initrd", cpio.archive(rootfs.entries(tree, release, native.PROBE.binary())))
        contents = {"kernel_release": release, "packages": [asdict(package) for package in packages]}
        _write(image / "appliance.json", json.dumps(contents, indent=1).encode())
        image.chmod(0o755)
        image.rename(root / digest)
        building.step()
    appliance = load(root / digest)
    assert appliance is not None  # noqa: S101 - it was written above, under the lock
    return appliance


def load(directory: Path) -> Appliance | None:
    """Read an image; None if it is missing."""
    try:
        release = json.loads((directory / "appliance.json").read_text())["kernel_release"]
    except FileNotFoundError:
        return None
    return Appliance(directory / "kernel", directory / "initrd", directory.name, release)


def _digest(packages: list[apt_packages.Package]) -> str:
    """Return a hash of all inputs: packages as recorded, which needs no network; our files; our code."""
    inputs = [f"{each.name} {each.version} {each.sha256}" for each in sorted(packages)]
    builder = (Path(__file__).with_name(f"{name}.py") for name in ("cpio", "rootfs", "bzimage"))
    inputs += [f"{file.name} {apt_packages.sha256(file)}" for file in builder]
    inputs += [f"{path} {apt_packages.sha256(file)}" for path, file in sorted(rootfs.own_files().items())]
    inputs.append(f"probe {apt_packages.sha256(native.PROBE.binary())}")
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()


def _table() -> list[str]:
    here = apt_packages.distribution()
    more = apt_packages.MORE_DRIVERS.get(here)
    return [apt_packages.KERNEL[here], *([more] if more else []), *apt_packages.USERLAND]


def _recorded(root: Path) -> list[apt_packages.Package] | None:
    """Return the packages that were fetched last, if they are those of the present table."""
    try:
        record = json.loads((root / "packages/packages.json").read_text())
        if record["table"] == _table():
            return [apt_packages.Package(**each) for each in record["packages"]]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass  # never written, or not by this version: fetched again
    return None


def _record(root: Path, packages: list[apt_packages.Package]) -> None:
    debs = root / "packages"
    names = {package.file for package in packages}
    for old in debs.glob("*.deb"):
        if old.name not in names:
            old.unlink()
    record = {"table": _table(), "packages": [asdict(package) for package in packages]}
    temporary = debs / "packages.json.new"
    _write(temporary, json.dumps(record, indent=1).encode())
    temporary.replace(debs / "packages.json")


def _intact(debs: Path, packages: list[apt_packages.Package]) -> bool:
    try:
        return all(apt_packages.sha256(debs / package.file) == package.sha256 for package in packages)
    except FileNotFoundError:
        return False


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o644)  # whatever the umask: libvirt's QEMU runs as another user


def _dropbear_key(key: Ed25519PrivateKey) -> bytes:
    """Return the key as dropbear reads it: the type's name, then seed and public key as one string."""
    both = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    return b"".join(struct.pack(">I", len(part)) + part for part in (b"ssh-ed25519", both))
