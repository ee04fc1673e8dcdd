"""Fetch the distribution's packages that the guest image is made of, as any user, checked by apt."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fame_lab.errors import ImageError

__all__ = [
    "AptError",
    "Package",
    "apt_options",
    "distribution",
    "download",
    "fetch",
    "selected",
    "sha256",
    "unpack",
]

# The packages of the image. A kernel's name leads to the package of its present version. A distribution that
# is not named here is looked up by its relatives (ID_LIKE).
KERNEL = {"debian": "linux-image-cloud-amd64", "ubuntu": "linux-image-virtual"}
# The beginning of the name of a package of further drivers, which ends with the kernel's release. No other
# package here depends on it. Ubuntu keeps qemu_fw_cfg there.
MORE_DRIVERS = {"ubuntu": "linux-modules-extra-"}
USERLAND = ("busybox-static", "dropbear-bin", "kmod", "pci.ids", "pciutils")

_VERSIONED_KERNEL = re.compile(r"linux-(?:image|modules)(?:-unsigned|-extra)?-(\d.*)")
_SELECTED = re.compile(r"^Inst (\S+) \((\S+) ", re.MULTILINE)

ADVICE = (
    "Check that this host reaches its Debian or Ubuntu mirror (`sudo apt-get update` shows it) and that "
    "the disk has room, then try again."
)
_ELSEWHERE = (
    "build the image on Debian or Ubuntu, copy that cache directory here and set FAME_LAB_CACHE to it"
)

RESOLVE_SECONDS = 120
DOWNLOAD_SECONDS = 900


@dataclass(frozen=True, order=True)
class Package:
    """One package file, as apt has verified it.

    Parameters
    ----------
    name, version : str
        The distribution's.
    sha256 : str
        Digest of the .deb file.
    file : str
        The .deb file's name.
    """

    name: str
    version: str
    sha256: str
    file: str


def distribution() -> str:
    """Return the distribution that supplies the packages: a key of `KERNEL`.

    Raises
    ------
    ImageError
        If this host is neither one of them nor like one.
    """
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    for name in (release.get("ID", ""), *release.get("ID_LIKE", "").split()):
        if name in KERNEL:
            return name
    raise ImageError(
        f"the guest image is made of Debian or Ubuntu packages, and this host says that it is "
        f"{release.get('PRETTY_NAME', 'neither')!r}: {_ELSEWHERE}"
    )


def fetch(into: Path, state: Path, on_stage: Callable[[str], None]) -> list[Package]:
    """Download the image's packages and their dependencies.

    The package lists of the system are used if they do. If they are missing or stale, lists are fetched
    into a directory of our own, which needs no root either.

    Parameters
    ----------
    into : Path
        Directory for the .deb files. Other files in it are left alone.
    state : Path
        Directory for apt's own files, which may be thrown away afterwards.
    on_stage : callable
        Called with a few words at each stage.

    Raises
    ------
    ImageError
        If apt-get is missing, or finds or downloads a package with neither list.
    """
    here = distribution()
    kernel, more = KERNEL[here], MORE_DRIVERS.get(here, "")
    into.mkdir(parents=True, exist_ok=True)
    base, private = apt_options(state)
    try:
        on_stage("asking apt for the guest's packages")
        return download(_select(kernel, more, into, base), into, base, on_stage)
    except AptError:
        on_stage("fetching package lists")
    updated = run("fetch package lists", ["apt-get", *private, "-q", "update"], into, DOWNLOAD_SECONDS)
    try:
        return download(_select(kernel, more, into, private), into, private, on_stage)
    except AptError as error:
        # A source that nothing here needs may fail to update, so that only a missing package tells.
        raise ImageError(f"{error}\npackage lists: {tail(updated.stderr)}\n{ADVICE}") from None


def apt_options(state: Path) -> tuple[list[str], list[str]]:
    """Return apt's options for the system's package lists, and those for lists of our own.

    Parameters
    ----------
    state : Path
        Directory for apt's own files, created if it is missing.
    """
    for directory in (state / "state/lists/partial", state / "cache/archives/partial"):
        directory.mkdir(parents=True, exist_ok=True)
    # An empty dpkg status: packages that this host happens to have must not shorten the list.
    base = ["-o", "Dir::State::status=/dev/null", "-o", f"Dir::Cache::archives={state / 'cache/archives'}",
            "-o", "APT::Get::AllowUnauthenticated=false"]  # fmt: skip
    own = {"State": state / "state", "State::lists": state / "state/lists", "Cache": state / "cache"}
    return base, [*base, *(word for name, path in own.items() for word in ("-o", f"Dir::{name}={path}"))]


class AptError(Exception):
    """apt failed with these lists."""


def _select(kernel: str, more: str, into: Path, options: Sequence[str]) -> list[str]:
    """Return name=version of all packages, as apt would install them on an empty system."""

    # A kernel depends on tools that make a disk bootable, and a node has none.
    def kernels(*names: str) -> list[tuple[str, str]]:
        return [package for package in selected(names, into, options) if _VERSIONED_KERNEL.match(package[0])]

    packages = kernels(kernel)
    if not packages:
        raise AptError(f"{kernel} depends on no package that holds a kernel")
    releases = {match[1] for name, _ in packages if (match := _VERSIONED_KERNEL.match(name))}
    for release in sorted(releases) if more else ():
        with contextlib.suppress(AptError):  # newer kernels have all drivers in one package
            packages += kernels(f"{more}{release}")
    return sorted(f"{name}={version}" for name, version in {*packages, *selected(USERLAND, into, options)})


def selected(names: Sequence[str], cwd: Path, options: Sequence[str]) -> list[tuple[str, str]]:
    """Return name and version of all packages that apt would install for `names`."""
    command = ["apt-get", *options, "--no-install-recommends", "--simulate", "install", *names]
    step = f"find the packages {', '.join(names)}"
    answer = run(step, command, cwd, RESOLVE_SECONDS)
    if answer.returncode:
        raise AptError(f"could not {step}: {tail(answer.stderr)}")
    return _SELECTED.findall(answer.stdout)


def download(
    targets: Sequence[str], into: Path, options: Sequence[str], on_stage: Callable[[str], None]
) -> list[Package]:
    """Download packages that are given as name=version, verified by apt.

    Raises
    ------
    AptError
        If one cannot be downloaded.
    """
    on_stage(f"downloading {len(targets)} packages")
    answer = run(
        "download packages", ["apt-get", *options, "-q", "download", *targets], into, DOWNLOAD_SECONDS
    )
    if answer.returncode:
        raise AptError(f"could not download packages: {tail(answer.stderr)}")
    packages = []
    for name, version in (each.split("=", 1) for each in targets):
        # apt writes an epoch's colon as %3a
        files = sorted(into.glob(f"{name}_{version.replace(':', '%3a')}_*.deb"))
        if not files:
            raise AptError(f"apt-get download left no file of {name} {version}")
        packages.append(Package(name, version, sha256(files[-1]), files[-1].name))
    return packages


def unpack(deb: Path, into: Path) -> None:
    """Unpack a package's files; none of its scripts is run.

    Raises
    ------
    ImageError
        If dpkg-deb is missing, or cannot.
    """
    step = f"unpack {deb.name}"
    answer = run(step, ["dpkg-deb", "--extract", str(deb), str(into)], into, RESOLVE_SECONDS)
    if answer.returncode:
        raise ImageError(
            f"could not {step} into {into}: {tail(answer.stderr)}\n"
            f"If the disk is full, make room or set FAME_LAB_CACHE to a directory with 300 MB free."
        )


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's contents."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(step: str, command: list[str], cwd: Path, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a tool of the distribution's, without questions and within a deadline.

    Raises
    ------
    ImageError
        If it is missing, or takes longer.
    """
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=seconds, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise ImageError(
            f"could not {step}: {command[0]}, a part of Debian and Ubuntu, is not on this host: {_ELSEWHERE}"
        ) from None
    except subprocess.TimeoutExpired:
        raise ImageError(f"could not {step}: {command[0]} took more than {seconds:.0f} s. {ADVICE}") from None


def tail(text: str, lines: int = 8) -> str:
    """Return the last lines of a tool's messages."""
    return "\n".join(text.strip().splitlines()[-lines:]) or "it said nothing"
