"""QEMUs beside the host's own, in the cache: those of the distribution's backports.

Each lies in a directory of its own, named by a digest of its packages, which are unpacked as they are.
"""

from __future__ import annotations

import datetime
import json
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
        Its value for ``LabSpec(qemu=...)``, if it is the current one.
    digest : str
        Digest of its packages.
    directory : Path
    qemu : Qemu
    suite : str
        Its origin, such as ``bookworm-backports``.
    fetched : str
        Time of the fetch, as ISO 8601 in UTC.
    depends : tuple of str
        Packages of the host that it depends on.
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
        """Bytes of the disk that it takes."""
        return sum(path.lstat().st_blocks * 512 for path in self.directory.rglob("*"))


def root() -> Path:
    """Return the directory of the QEMUs."""
    directory = cache_directory() / "qemu"
    return directory if directory.is_dir() else own_cache() / "qemu"


def cached() -> list[CachedQemu]:
    """List the QEMUs in the cache; the last fetched comes last."""
    directories = [path.parent for path in root().glob(f"*/{_RECORD}")]
    # None that is being removed: its name is building-DIGEST.
    qemus = [each for path in directories if "-" not in path.name and (each := _load(path)) is not None]
    return sorted(qemus, key=lambda each: (each.fetched, each.digest))


def current() -> CachedQemu | None:
    """Return the QEMU of the cache that a lab would take: of this host's release, fetched last."""
    try:
        release = backports.suite()
    except HostError:
        release = None  # no Debian: a QEMU that somebody copied here counts
    qemus = [each for each in cached() if release in (None, each.suite)]
    return qemus[-1] if qemus else None


def find(name: str, on_stage: Callable[[str], None] | None = None) -> Path | None:
    """Return the program that a spec's ``qemu`` stands for; None for ``auto``, which is libvirt's choice.

    A name is fetched if it is not in the cache.

    Raises
    ------
    HostError
        See :func:`ensure`.
    """
    if name == "auto":
        return None
    return ensure(on_stage).qemu.path if name in QEMU_NAMES else Path(name)


def ensure(on_stage: Callable[[str], None] | None = None) -> CachedQemu:
    """Return the QEMU of this host's backports, fetched if none is in the cache.

    Two processes may call it at once: one fetches, the other waits.

    Parameters
    ----------
    on_stage : callable, optional
        Called with a few words at each stage, instead of a bar.

    Raises
    ------
    HostError
        If it cannot be had or does not run here: the step, the command's messages, and a remedy.
    """
    return current() or _locked(on_stage, anew=False)


def update(on_stage: Callable[[str], None] | None = None) -> CachedQemu:
    """Return the newest QEMU of the backports, fetched if the cache has an older one; see :func:`ensure`."""
    return _locked(on_stage, anew=True)


def remove(selector: str | None, in_use: Iterable[Path]) -> list[CachedQemu]:
    """Remove the QEMUs of a name or a digest; without one, all but the current one.

    Parameters
    ----------
    selector : str, optional
        A name, or the beginning of a digest.
    in_use : iterable of Path
        Programs of the nodes that run.

    Raises
    ------
    SpecError
        If there is none of that name.
    LabError
        If a lab runs in one of them; then none is removed.
    """
    qemus, programs, newest = cached(), set(in_use), current()
    if selector is None:
        chosen = [each for each in qemus if each != newest and each.qemu.path not in programs]
    else:
        long_enough = len(selector) >= 8
        chosen = [
            each
            for each in qemus
            if selector == each.name or (long_enough and each.digest.startswith(selector))
        ]
        if not chosen:
            names = ", ".join(f"{each.name} ({each.digest[:12]})" for each in qemus) or "none"
            raise SpecError(f"there is no QEMU {selector!r}; in the cache are: {names}")
        for each in chosen:
            if each.qemu.path in programs:
                raise LabError(
                    f"a lab runs in {each.name} ({each.digest[:12]})",
                    hint="end it first; `fame-lab ls` has it",
                )
    for each in chosen:
        cache.remove(each.directory)
    return chosen


def _load(directory: Path) -> CachedQemu | None:
    """Read one; None if it is missing, or not whole."""
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


def _locked(on_stage: Callable[[str], None] | None, *, anew: bool) -> CachedQemu:
    try:
        with job("QEMU", unit="step", shown=on_stage is None) as fetching, cache.changing(root()):
            if not anew and (newest := current()):
                return newest
            return _fetch(fetching, on_stage or (lambda _words: None))
    except OSError as error:
        raise HostError(
            f"could not write a QEMU under {root()}: {error.strerror} ({error.filename}). It takes 200 MB "
            "for a while",
            hint="make room, or set FAME_LAB_CACHE to a directory that you can write to",
        ) from error


def _fetch(fetching: Job, on_stage: Callable[[str], None]) -> CachedQemu:
    def report(words: str) -> None:
        fetching.describe(words)
        on_stage(f"QEMU: {words}")

    with cache.scratch(root()) as scratch:
        debs, tree = scratch / "debs", scratch / "tree"
        packages = backports.fetch(qemu_tree.PACKAGES, debs, scratch / "apt", report)
        # The steps: the fetch, each package, and the check of its version.
        fetching.set_total(len(packages) + 2)
        fetching.step()
        digest = qemu_tree.digest(packages)
        if entry := _load(root() / digest):
            _record(entry.directory, entry.qemu, packages, entry.depends)  # with a new time
            return entry
        dependencies = qemu_tree.unpack(packages, debs, tree, report, fetching.step)
        report("asking it for its version")
        qemu = qemu_tree.checked(tree, dependencies)
        _record(tree, qemu, packages, dependencies)
        tree.rename(root() / digest)
        fetching.step()
    entry = _load(root() / digest)
    if entry is None:
        raise HostError(f"the QEMU was fetched and is gone from {root() / digest}", hint="fetch it again")
    return entry


def _record(
    directory: Path, qemu: Qemu, packages: list[apt_packages.Package], dependencies: Iterable[str]
) -> None:
    record = {
        "version": qemu.version,
        "packaged": qemu.packaged,
        "suite": backports.suite(),
        "fetched": datetime.datetime.now(datetime.UTC).isoformat(),
        "packages": [asdict(package) for package in packages],
        "depends": list(dependencies),
    }
    part = directory / f"{_RECORD}.new"
    part.write_text(json.dumps(record, indent=1))
    part.chmod(0o644)
    part.replace(directory / _RECORD)
