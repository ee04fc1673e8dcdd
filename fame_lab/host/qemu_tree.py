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

#: The program, its modules, its firmware: what the host has of its own is of another version.
PACKAGES = ("ipxe-qemu", "qemu-system-common", "qemu-system-data", "qemu-system-x86", "seabios")
PROGRAM = Path("usr/bin") / qemu.PROGRAM
#: Of the packages, what nothing here needs: half of their size.
_NEEDLESS = ("usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/bin/qemu-system-i386")
#: How a tree is laid out; one that an older version of the kit made is fetched again.
_LAYOUT = 1


def digest(known: Sequence[apt_packages.Package]) -> str:
    """Return a digest of all that a tree is made of."""
    inputs = [f"layout {_LAYOUT}", *(f"{each.name} {each.version} {each.sha256}" for each in sorted(known))]
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()


def unpack(
    known: Sequence[apt_packages.Package],
    debs: Path,
    tree: Path,
    tell: Callable[[str], None],
    step: Callable[[], None],
) -> list[str]:
    """Unpack packages into a directory that is made for them.

    Parameters
    ----------
    known : sequence of Package
    debs : Path
        Where their files are.
    tree : Path
        Not there yet.
    tell, step : callable
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
    for package in known:
        tell(f"unpacking {package.name}")
        apt_packages.unpack(debs / package.file, tree)
        step()
    _make_readable(tree)
    _let_it_find_its_modules(tree)
    leans_on = {name for each in known for name in backports.depends(debs / each.file)}
    return sorted(leans_on - {each.name for each in known})


def checked(tree: Path, leans_on: Sequence[str]) -> Qemu:
    """Return what the QEMU of a tree says of itself.

    Raises
    ------
    HostError
        If it does not run here; with the libraries that the host lacks, and the packages that have them.
    """
    if missing := qemu.missing_libraries(tree / PROGRAM):
        lacking = backports.not_installed(leans_on)
        mend = f"`sudo apt-get install {' '.join(lacking)}`" if lacking else "install the packages with them"
        raise HostError(f"the QEMU of the backports cannot run: this host lacks {', '.join(missing)}; {mend}")
    return qemu.read(tree / PROGRAM)


def _make_readable(tree: Path) -> None:
    """Leave out what nothing needs, and let all users read the rest: libvirt's QEMU may be another user."""
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

    By itself it finds its firmware there, and its modules where the host has its own QEMU's: these are of
    another build, and QEMU aborts as soon as something has all of them loaded, as libvirt does. What lies
    below ``qemu-bundle`` beside the program comes first, whatever it was built for.
    """
    (tree / PROGRAM).with_name("qemu-bundle").symlink_to("../..")
