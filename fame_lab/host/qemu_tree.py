"""The packages of a QEMU, unpacked so that it runs where they lie."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from fame_lab.errors import HostError
from fame_lab.guest.images import apt_packages, backports
from fame_lab.host import qemu
from fame_lab.host.qemu import Qemu

__all__ = ["PACKAGES", "PROGRAM", "checked", "digest", "unpack"]

#: The program, its modules, its firmware: the host's own are of another version.
PACKAGES = ("ipxe-qemu", "qemu-system-common", "qemu-system-data", "qemu-system-x86", "seabios")
PROGRAM = Path("usr/bin") / qemu.PROGRAM
#: Parts of the packages that nobody here needs: half of their size.
_NEEDLESS = ("usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/bin/qemu-system-i386")
#: The version of a tree's layout; a tree of an older version is fetched again.
_LAYOUT = 1


def digest(packages: Sequence[apt_packages.Package]) -> str:
    """Return a digest of all packages of a tree, and of its layout."""
    inputs = [
        f"layout {_LAYOUT}",
        *(f"{each.name} {each.version} {each.sha256}" for each in sorted(packages)),
    ]
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()


def unpack(
    packages: Sequence[apt_packages.Package],
    debs: Path,
    tree: Path,
    on_stage: Callable[[str], None],
    step: Callable[[], None],
) -> list[str]:
    """Unpack packages into a new directory.

    Parameters
    ----------
    packages : sequence of Package
    debs : Path
        Directory of their files.
    tree : Path
        The directory, which must not exist yet.
    on_stage, step : callable
        Called with a few words before each package, and after it.

    Returns
    -------
    list of str
        The packages of the host that they depend on.

    Raises
    ------
    ImageError, HostError
        If one cannot be unpacked, or read.
    """
    tree.mkdir()
    for package in packages:
        on_stage(f"unpacking {package.name}")
        apt_packages.unpack(debs / package.file, tree)
        step()
    _make_readable(tree)
    _let_it_find_its_modules(tree)
    dependencies = {name for each in packages for name in backports.depends(debs / each.file)}
    return sorted(dependencies - {each.name for each in packages})


def checked(tree: Path, dependencies: Sequence[str]) -> Qemu:
    """Return the QEMU of a tree, as it describes itself.

    Raises
    ------
    HostError
        If it does not run here, with the libraries that the host lacks and the packages that have them.
    """
    if missing := qemu.missing_libraries(tree / PROGRAM):
        lacking = backports.not_installed(dependencies)
        mend = f"`sudo apt-get install {' '.join(lacking)}`" if lacking else "install the packages with them"
        raise HostError(f"the QEMU of the backports cannot run: this host lacks {', '.join(missing)}; {mend}")
    return qemu.read(tree / PROGRAM)


def _make_readable(tree: Path) -> None:
    """Remove the needless parts, and let all users read the rest: libvirt's QEMU may be another user."""
    for name in _NEEDLESS:
        path = tree / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _let_it_find_its_modules(tree: Path) -> None:
    """Link the directory of QEMU's files to where QEMU looks for them.

    By itself it finds its firmware there, but looks for its modules in the place of the host's own QEMU's.
    These are of another build, and QEMU aborts when all of them are loaded, as libvirt does. Files below
    ``qemu-bundle`` beside the program come first in any build.
    """
    (tree / PROGRAM).with_name("qemu-bundle").symlink_to("../..")
