"""The guest image of another Debian release than this host's, as a user's own image.

Packages of that release come by apt, with a list and a cache of their own, verified by apt.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fame_lab.core import native
from fame_lab.guest.images import apt_packages, bzimage, cpio, rootfs

__all__ = ["guest_of"]

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def guest_of(release: str, directory: Path) -> str:
    """Create the appliance of a Debian release, as `kernel` and `initrd` in a directory; return `uname -r`.

    Parameters
    ----------
    release : str
        Its codename, such as ``bookworm``.
    directory : Path
        It is made anew.
    """
    debs, tree, state = directory / "debs", directory / "tree", directory / "apt"
    for each in (debs, tree):
        each.mkdir(parents=True)
    _, options = apt_packages.apt_options(state)
    sources = state / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {_archive()} {release} main\n")
    options += ["-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=/dev/null"]
    updated = subprocess.run(
        ["apt-get", *options, "-q", "update"], capture_output=True, text=True, timeout=300, check=False
    )
    if updated.returncode or "Err:" in updated.stdout:
        pytest.skip(f"the packages of Debian {release} cannot be had here: {updated.stdout} {updated.stderr}")
    wanted = apt_packages._select(apt_packages.KERNEL["debian"], "", debs, options)
    for package in apt_packages.download(wanted, debs, options, lambda _words: None):
        apt_packages.unpack(debs / package.file, tree)
    kernel, version = rootfs.kernel(tree)
    compressed = kernel.read_bytes()
    (directory / "kernel").write_bytes(bzimage.uncompressed(compressed) or compressed)
    (directory / "initrd").write_bytes(cpio.archive(rootfs.entries(tree, version, native.PROBE.binary())))
    return version


def _archive() -> str:
    """Return the address of Debian's archive, or of this host's mirror of it."""
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)"],
        capture_output=True,
        text=True,
        check=False,
    )
    archives = [
        line.split()[2] for line in targets.stdout.splitlines() if line.startswith("Debian Debian http")
    ]
    return archives[0] if archives else "http://deb.debian.org/debian"
