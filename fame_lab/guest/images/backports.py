"""Fetch packages of the distribution's backports beside the host's, as any user, checked by apt.

The host's own sources rarely name the backports. So a list of our own is written: the host's mirror, the
keyring that the host trusts for this mirror, and the suite. The host's own files do not change.
"""

from __future__ import annotations

import contextlib
import platform
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from fame_lab.errors import HostError
from fame_lab.guest.images.apt_packages import AptError, Package, apt_options, download, run, selected, tail

__all__ = ["KEYRING", "depends", "fetch", "mirror", "not_installed", "suite"]

#: The mirror for a host with no suitable source of its own.
_MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_FORMAT = "$(REPO_URI)\t$(RELEASE)\t$(CODENAME)\t$(COMPONENT)\t$(SOURCESENTRY)"
_ADVICE = (
    "Check that this host reaches its Debian mirror (`sudo apt-get update` shows it), that this has "
    "backports, and that the disk has room, then try again."
)
_LISTS_SECONDS = 900
_SECONDS = 120


def suite() -> str:
    """Return the name of this host's backports, such as ``bookworm-backports``.

    Raises
    ------
    HostError
        If this host is no Debian, which alone has them.
    """
    with contextlib.suppress(OSError):
        release = platform.freedesktop_os_release()
        if release.get("ID") == "debian" and (codename := release.get("VERSION_CODENAME")):
            return f"{codename}-backports"
        raise HostError(
            f"this host is {release.get('PRETTY_NAME', 'of an unknown kind')!r}, and Debian alone has "
            "backports",
            hint=(
                "install or build another QEMU, and give its path, as in qemu='/opt/qemu/bin/"
                "qemu-system-x86_64'"
            ),
        )
    raise HostError("this host does not say what it is (/etc/os-release): backports are Debian's alone")


def fetch(names: Sequence[str], into: Path, state: Path, on_stage: Callable[[str], None]) -> list[Package]:
    """Download these packages of the backports, and no other.

    Parameters
    ----------
    names : sequence of str
        Packages; one that the backports lack is the release's own.
    into : Path
        Directory for the .deb files.
    state : Path
        Directory for apt's own files, which may be thrown away afterwards.
    on_stage : callable
        Called with a few words at each stage.

    Raises
    ------
    HostError
        If this host is no Debian, or apt does not find or download a package.
    ImageError
        If apt-get is missing, or takes too long.
    """
    backports = suite()
    into.mkdir(parents=True, exist_ok=True)
    _, options = apt_options(state)
    list_of_ours = state / "backports.sources"
    list_of_ours.write_text(_sources(backports, into))
    options += ["-o", f"Dir::Etc::sourcelist={list_of_ours}", "-o", "Dir::Etc::sourceparts=/dev/null"]
    on_stage(f"fetching the package lists of {backports}")
    updated = run(
        f"fetch the lists of {backports}", ["apt-get", *options, "-q", "update"], into, _LISTS_SECONDS
    )
    try:
        packages = selected(names, into, [*options, "--target-release", backports])
        targets = sorted(f"{name}={version}" for name, version in packages if name in names)
        return download(targets, into, options, on_stage)
    except AptError as error:
        raise HostError(f"{error}\npackage lists: {tail(updated.stderr)}\n{_ADVICE}") from None


def depends(deb: Path) -> list[str]:
    """Return the packages that a package depends on, each the first of its alternatives.

    Raises
    ------
    HostError
        If it cannot be read.
    """
    step = f"read what {deb.name} depends on"
    answer = run(step, ["dpkg-deb", "--field", str(deb), "Pre-Depends", "Depends"], deb.parent, _SECONDS)
    if answer.returncode:
        raise HostError(f"could not {step}: {tail(answer.stderr)}")
    fields = re.sub(r"^(Pre-)?Depends:", ",", answer.stdout, flags=re.MULTILINE)
    return sorted({name for each in fields.split(",") if (name := re.split(r"[\s:(|]", each.strip())[0])})


def not_installed(names: Sequence[str]) -> list[str]:
    """Return the packages among these that this host lacks, as far as dpkg can tell."""
    command = ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package} ${Provides}\n"]
    answer = run("ask what is installed", command, Path("/"), _SECONDS)
    packages = {
        re.split(r"[\s:(]", word.strip())[0]
        for status, _, words in (line.partition(" ") for line in answer.stdout.splitlines())
        if status == "installed"
        for word in words.replace(" ", ",", 1).split(",")
    }
    return [name for name in names if name not in packages] if packages else []


def _sources(backports: str, cwd: Path) -> str:
    """Return our list: the release and its backports, from the host's mirror."""
    release = backports.removesuffix("-backports")
    uri, entry = mirror(release, cwd)
    signed_by = _signed_by(entry)
    if not signed_by and uri == _MIRROR and KEYRING.exists():
        signed_by = f"Signed-By: {KEYRING}\n"  # else the keyrings that apt trusts for everything
    return f"Types: deb\nURIs: {uri}\nSuites: {release} {backports}\nComponents: main\n{signed_by}"


def mirror(release: str, cwd: Path) -> tuple[str, str]:
    """Return the mirror of the host's own release, and the entry of its sources for it."""
    command = ["apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages"]
    answer = run("ask apt for this host's mirror", command, cwd, _SECONDS)
    for line in answer.stdout.splitlines():
        uri, name, codename, component, entry = [*line.split("\t"), "", "", "", ""][:5]
        # Other repositories may use Debian's name for a suite, at an address of their own.
        if release in (name, codename) and component == "main" and re.search(r"debian/?$", uri):
            return uri, entry
    return _MIRROR, ""


def _signed_by(entry: str) -> str:
    """Return the keyring, or key, of an entry of the host's sources, as a field; empty if it names none.

    Parameters
    ----------
    entry : str
        File and number: of the line, or of the stanza in a ``.sources`` file.
    """
    file, _, number = entry.rpartition(":")
    try:
        text = Path(file).read_text(encoding="utf-8")
        if file.endswith(".sources"):
            stanzas = [part for part in re.split(r"\n(?:[ \t]*\n)+", text) if re.search(r"(?m)^[^#\s]", part)]
            match = re.search(
                r"^Signed-By:.*(?:\n[ \t].*|\n#.*)*", stanzas[int(number) - 1], re.MULTILINE | re.IGNORECASE
            )
            return f"{match[0]}\n" if match else ""
        match = re.search(r"\[[^\]]*\bsigned-by=([^\s\]]+)", text.splitlines()[int(number) - 1])
        return f"Signed-By: {match[1].replace(',', ' ')}\n" if match else ""
    except (OSError, ValueError, IndexError):
        return ""
