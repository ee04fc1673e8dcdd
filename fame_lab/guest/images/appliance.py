"""Build the guest image: a distribution's own kernel and an initramfs that holds all a node needs.

It is kept in the cache under a hash of what went in, and built again when any of that changes::

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

#: As guest/probe/awake.c has it.
SEED_SIZE = 64

_NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Appliance:
    """A guest image in the cache.

    Parameters
    ----------
    kernel : Path
        What QEMU's ``-kernel`` takes; world readable.
    initrd : Path
        The initramfs, without keys.
    digest : str
        Hexadecimal SHA-256 over all that went in.
    kernel_release : str
        What ``uname -r`` says in the guest.
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
        """What QEMU's user has to be able to read."""
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
        # The TSC is what the guest's clock should be; left to itself, Linux takes HPET (1 µs a look).
        words += ["tsc=reliable", "no_timer_check"]
        if tsc_khz is not None:
            words.append(f"tsc_early_khz={tsc_khz}")
        return " ".join(words)

    def template_boot(self, *, tsc_khz: int | None) -> KernelBoot:
        """Return what a guest boots that waits to be saved, and to be restored as one node or another."""
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


def ensure(progress: Callable[[str], None] | None = None) -> Appliance:
    """Return the guest image, building it if what goes in has changed or nothing is there.

    Needs the network the first time only. Two processes may call it at once: one builds, the other waits.

    Parameters
    ----------
    progress : callable, optional
        Told in a few words what goes on, instead of a bar over the steps. A job of which the build is part
        hears of each step in any case.

    Raises
    ------
    ImageError
        If it cannot be built: the step, what the command said, and what to do.
    """
    if found := cached():
        return found
    root = own_cache() / "appliance"
    try:
        with job("guest image", unit="step", shown=progress is None) as building:

            def tell(words: str) -> None:
                building.describe(words)
                if progress is not None:
                    progress(words)

            with cache.changing(root):
                return cached() or _build(root, building, tell)
    except OSError as error:
        raise ImageError(
            f"could not write the guest image under {root}: {error.strerror} ({error.filename}). It "
            "takes 300 MB, of Ubuntu's packages 1 GB",
            hint="make room, or set FAME_LAB_CACHE to a directory that you can write to",
        ) from error


def cached() -> Appliance | None:
    """Return the guest image for the present inputs if it is in the cache; nothing is built or fetched.

    Raises
    ------
    ImageError
        If the probe program, which is part of it, is missing.
    """
    for root in caches("appliance"):
        if (known := _recorded(root)) and (found := load(root / _digest(known))):
            return found
    return None


def _build(root: Path, building: Job, tell: Callable[[str], None]) -> Appliance:
    debs = root / "packages"
    with cache.scratch(root) as scratch:
        known = _recorded(root)
        if known is None or not _intact(debs, known):
            known = apt_packages.fetch(debs, scratch / "apt", tell)
            _record(root, known)
        digest = _digest(known)
        if found := load(root / digest):
            return found
        # Fetched, each unpacked, kernel and initramfs written.
        building.set_total(1 + len(known) + 2)
        building.step()
        tell("unpacking packages")
        tree = scratch / "tree"
        tree.mkdir()
        for package in known:
            building.describe(f"unpacking {package.name}")
            apt_packages.unpack(debs / package.file, tree)
            building.step()
        tell("writing the initramfs")
        image = scratch / "image"
        image.mkdir(mode=0o755)
        kernel, release = rootfs.kernel(tree)
        compressed = kernel.read_bytes()
        _write(image / "kernel", bzimage.uncompressed(compressed) or compressed)
        building.step()
        _write(image / "initrd", cpio.archive(rootfs.entries(tree, release, native.PROBE.binary())))
        contents = {"kernel_release": release, "packages": [asdict(package) for package in known]}
        _write(image / "appliance.json", json.dumps(contents, indent=1).encode())
        image.chmod(0o755)
        image.rename(root / digest)
        building.step()
    found = load(root / digest)
    assert found is not None  # noqa: S101 - it was written above, under the lock
    return found


def load(directory: Path) -> Appliance | None:
    """Read an image; None if it is not there."""
    try:
        release = json.loads((directory / "appliance.json").read_text())["kernel_release"]
    except FileNotFoundError:
        return None
    return Appliance(directory / "kernel", directory / "initrd", directory.name, release)


def _digest(known: list[apt_packages.Package]) -> str:
    """Hash all that goes in: packages as recorded, so that no network is needed, our files, our code."""
    inputs = [f"{each.name} {each.version} {each.sha256}" for each in sorted(known)]
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
    """Return what was fetched last, if it was what the table asks for now."""
    try:
        record = json.loads((root / "packages/packages.json").read_text())
        if record["table"] == _table():
            return [apt_packages.Package(**each) for each in record["packages"]]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass  # never written, or not by this version: fetched again
    return None


def _record(root: Path, known: list[apt_packages.Package]) -> None:
    debs = root / "packages"
    wanted = {package.file for package in known}
    for old in debs.glob("*.deb"):
        if old.name not in wanted:
            old.unlink()
    record = {"table": _table(), "packages": [asdict(package) for package in known]}
    temporary = debs / "packages.json.new"
    _write(temporary, json.dumps(record, indent=1).encode())
    temporary.replace(debs / "packages.json")


def _intact(debs: Path, known: list[apt_packages.Package]) -> bool:
    try:
        return all(apt_packages.sha256(debs / package.file) == package.sha256 for package in known)
    except FileNotFoundError:
        return False


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o644)  # whatever the umask: libvirt's QEMU runs as another user


def _dropbear_key(key: Ed25519PrivateKey) -> bytes:
    """Return the key as dropbear reads it: the type's name, then seed and public key as one string."""
    both = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    return b"".join(struct.pack(">I", len(part)) + part for part in (b"ssh-ed25519", both))
