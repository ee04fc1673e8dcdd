"""QEMUs beside the host's own, in the cache: those of the distribution's backports.

One lies in a directory of its own, named by a digest of its packages, unpacked as they are.
"""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from fame_lab.core import cache
from fame_lab.core.cache import cache_directory, own_cache
from fame_lab.core.jobs.progress import Job, job
from fame_lab.errors import HostError, LabError, SpecError
from fame_lab.guest.images import apt_packages, backports
from fame_lab.host import qemu_tree
from fame_lab.host.qemu import Qemu
from fame_lab.spec.validation import QEMU_NAMES

__all__ = ["CachedQemu", "cached", "current", "ensure", "find", "remove", "root", "update"]

_RECORD = "qemu.json"
(_BACKPORTS,) = QEMU_NAMES


@dataclass(frozen=True)
class CachedQemu:
    """A QEMU in the cache.

    Parameters
    ----------
    name : str
        What ``LabSpec(qemu=...)`` takes for it, if it is the current one.
    digest : str
        Of its packages.
    directory : Path
    qemu : Qemu
    suite : str
        Where it is from, such as ``bookworm-backports``.
    fetched : str
        When, as ISO 8601 in UTC.
    depends : tuple of str
        Packages of the host that it leans on.
    """

    name: str
    digest: str
    directory: Path
    qemu: Qemu
    suite: str
    fetched: str
    depends: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return sum(path.lstat().st_blocks * 512 for path in self.directory.rglob("*"))


def root() -> Path:
    """Return the directory of the QEMUs."""
    given = cache_directory() / "qemu"
    return given if given.is_dir() else own_cache() / "qemu"


def cached() -> list[CachedQemu]:
    """List the QEMUs in the cache; last the one that was fetched last."""
    there = [path.parent for path in root().glob(f"*/{_RECORD}")]
    # None that is being removed, whose name is building-DIGEST.
    found = [each for path in there if "-" not in path.name and (each := _load(path)) is not None]
    return sorted(found, key=lambda each: (each.fetched, each.digest))


def current() -> CachedQemu | None:
    """Return the QEMU of the cache that a lab would take: of this host's release, fetched last."""
    try:
        here = backports.suite()
    except HostError:
        here = None  # no Debian: what somebody brought here counts
    found = [each for each in cached() if here in (None, each.suite)]
    return found[-1] if found else None


def find(name: str, tell: Callable[[str], None] | None = None) -> Path | None:
    """Return the program that a spec's ``qemu`` stands for; None for ``auto``, which is libvirt's choice.

    A name is fetched if it is not in the cache.

    Raises
    ------
    HostError
        As of :func:`ensure`.
    """
    if name == "auto":
        return None
    return ensure(tell).qemu.path if name in QEMU_NAMES else Path(name)


def ensure(tell: Callable[[str], None] | None = None) -> CachedQemu:
    """Return the QEMU of this host's backports, fetched if none is in the cache.

    Two processes may call it at once: one fetches, the other waits.

    Parameters
    ----------
    tell : callable, optional
        Told in a few words what goes on, instead of a bar.

    Raises
    ------
    HostError
        If it cannot be had or does not run here: the step, what the command said, and what to do.
    """
    return current() or _locked(tell, anew=False)


def update(tell: Callable[[str], None] | None = None) -> CachedQemu:
    """Return the newest QEMU of the backports, fetched if the cache has an older one; see :func:`ensure`."""
    return _locked(tell, anew=True)


def remove(wanted: str | None, in_use: Iterable[Path]) -> list[CachedQemu]:
    """Take QEMUs away: those of a name or a digest; without any, all but the current one.

    Parameters
    ----------
    wanted : str, optional
        A name, or the beginning of a digest.
    in_use : iterable of Path
        Programs of the nodes that run.

    Raises
    ------
    SpecError
        If there is none of that name.
    LabError
        If a lab runs in one of them; then nothing is taken away.
    """
    there, used, newest = cached(), set(in_use), current()
    if wanted is None:
        going = [each for each in there if each != newest and each.qemu.path not in used]
    else:
        long_enough = len(wanted) >= 8
        going = [
            each for each in there if wanted == each.name or (long_enough and each.digest.startswith(wanted))
        ]
        if not going:
            names = ", ".join(f"{each.name} ({each.digest[:12]})" for each in there) or "none"
            raise SpecError(f"there is no QEMU {wanted!r}; in the cache are: {names}")
        for each in going:
            if each.qemu.path in used:
                raise LabError(
                    f"a lab runs in {each.name} ({each.digest[:12]})",
                    hint="end it first; `fame-lab ls` has it",
                )
    for each in going:
        try:
            # Out of sight at once, so that what is half gone is never started.
            gone = each.directory.with_name(f"building-{each.digest[:12]}")
            each.directory.rename(gone)
            shutil.rmtree(gone)
        except OSError as error:
            raise HostError(f"cannot remove {each.directory}: {error.strerror} ({error.filename})") from error
    return going


def _load(directory: Path) -> CachedQemu | None:
    """Read one; None if it is not there, or not whole."""
    try:
        record = json.loads((directory / _RECORD).read_text())
        version, packaged = record["version"], record["packaged"]
        if not isinstance(version, int) or not (directory / qemu_tree.PROGRAM).is_file():
            return None
        return CachedQemu(
            name=_BACKPORTS,
            digest=directory.name,
            directory=directory,
            qemu=Qemu(directory / qemu_tree.PROGRAM, version, str(packaged)),
            suite=str(record["suite"]),
            fetched=str(record["fetched"]),
            depends=tuple(map(str, record["depends"])),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _locked(tell: Callable[[str], None] | None, *, anew: bool) -> CachedQemu:
    try:
        with job("QEMU", unit="step", shown=tell is None) as fetching, cache.changing(root()):
            if not anew and (found := current()):
                return found
            return _fetch(fetching, tell or (lambda _words: None))
    except OSError as error:
        raise HostError(
            f"could not write a QEMU under {root()}: {error.strerror} ({error.filename}). It takes 200 MB "
            "for a while",
            hint="make room, or set FAME_LAB_CACHE to a directory that you can write to",
        ) from error


def _fetch(fetching: Job, tell: Callable[[str], None]) -> CachedQemu:
    def told(words: str) -> None:
        fetching.describe(words)
        tell(f"QEMU: {words}")

    with cache.scratch(root()) as scratch:
        debs, tree = scratch / "debs", scratch / "tree"
        known = backports.fetch(qemu_tree.PACKAGES, debs, scratch / "apt", told)
        # Fetched, each unpacked, and asked for its version.
        fetching.set_total(len(known) + 2)
        fetching.step()
        digest = qemu_tree.digest(known)
        if found := _load(root() / digest):
            _record(found.directory, found.qemu, known, found.depends)  # asked for last
            return found
        leans_on = qemu_tree.unpack(known, debs, tree, told, fetching.step)
        told("asking it for its version")
        made = qemu_tree.checked(tree, leans_on)
        _record(tree, made, known, leans_on)
        tree.rename(root() / digest)
        fetching.step()
    found = _load(root() / digest)
    if found is None:
        raise HostError(f"the QEMU was fetched and is gone from {root() / digest}", hint="fetch it again")
    return found


def _record(directory: Path, made: Qemu, known: list[apt_packages.Package], leans_on: Iterable[str]) -> None:
    told = {
        "version": made.version,
        "packaged": made.packaged,
        "suite": backports.suite(),
        "fetched": datetime.datetime.now(datetime.UTC).isoformat(),
        "packages": [asdict(package) for package in known],
        "depends": list(leans_on),
    }
    part = directory / f"{_RECORD}.new"
    part.write_text(json.dumps(told, indent=1))
    part.chmod(0o644)
    part.replace(directory / _RECORD)
