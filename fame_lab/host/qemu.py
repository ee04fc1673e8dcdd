"""The QEMU that nodes run in: the host's own, or another one that lies at a path."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from fame_lab.core.sanitize import plain, shortened
from fame_lab.errors import HostError
from fame_lab.host.qemu_output import INSTEAD, PROGRAM, output_of
from fame_lab.host.qemu_user import QemuUser

__all__ = [
    "HOSTS",
    "LEAST",
    "PROGRAM",
    "Abilities",
    "Qemu",
    "abilities",
    "check_fit",
    "complaints",
    "dotted",
    "is_hosts",
    "missing_libraries",
    "of_host",
    "read",
]

#: The oldest QEMU that the kit was tried on, numbered like libvirt's versions.
LEAST = 7_002_000

#: The places of distributions' own QEMU, where libvirt finds it if a domain names none.
HOSTS = frozenset(
    f"{directory}/{name}"
    for directory in ("/usr/bin", "/bin", "/usr/libexec", "/run/libvirt/nix-emulators")
    for name in (PROGRAM, "qemu-kvm", "kvm", "kvm-spice")
)

_SILENT = ("-S", "-machine", "none", "-nodefaults", "-no-user-config", "-display", "none")
_QUESTIONS = b"".join(
    json.dumps(question).encode() + b"\n"
    for question in (
        {"execute": "qmp_capabilities"},
        {"execute": "query-target"},
        {"execute": "query-command-line-options", "arguments": {"option": "plugin"}},
        {"execute": "quit"},
    )
)
_VERSION = re.compile(rb"^QEMU emulator version ([0-9]{1,3})\.([0-9]{1,3})(?:\.([0-9]{1,3}))?([^\n]*)", re.M)


@dataclass(frozen=True)
class Qemu:
    """One QEMU, as it describes itself.

    Parameters
    ----------
    path : Path
        Its program.
    version : int
        1000000 * major + 1000 * minor + micro, like libvirt's versions.
    packaged : str
        The distributor's addition to the version, such as ``(Debian 1:10.0.2)``; may be empty.
    """

    path: Path
    version: int
    packaged: str = ""

    def __str__(self) -> str:
        return f"QEMU {dotted(self.version)} at {self.path}"


@dataclass(frozen=True)
class Abilities:
    """The features of a QEMU's build.

    Parameters
    ----------
    architecture : str
        The architecture of its guests, such as ``x86_64``.
    plugins : bool
        Whether it loads TCG plugins.
    """

    architecture: str
    plugins: bool


def dotted(version: int) -> str:
    """Return a version as people write it: 7002022 is 7.2.22."""
    return f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"


def is_hosts(path: str) -> bool:
    """Return whether `path` is a place in which libvirt finds a host's own QEMU."""
    return path in HOSTS or path == shutil.which(PROGRAM)


def of_host() -> Path:
    """Return the path of the host's own QEMU.

    Raises
    ------
    HostError
        If there is none.
    """
    path = shutil.which(PROGRAM)
    if path is None:
        raise HostError(f"{PROGRAM} is not on this host", hint="`sudo apt-get install qemu-system-x86`")
    return Path(path)


def read(path: Path, user: QemuUser | None = None) -> Qemu:
    """Return a QEMU as it describes itself; the result is cached until its file changes.

    Parameters
    ----------
    path : Path
    user : QemuUser, optional
        The user that it will run as, if another: the program is run as this user here too.

    Raises
    ------
    HostError
        If it is no QEMU, cannot be run, or is too old.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise HostError(
            f"there is no QEMU at {path} ({error.strerror})",
            hint="give qemu='auto' for the host's, or another path",
        ) from error
    return _query(path, user, _version_of(status))


def abilities(qemu: Qemu, user: QemuUser | None = None) -> Abilities:
    """Return the features of a QEMU's build, by its machine protocol; cached like those of :func:`read`.

    Raises
    ------
    HostError
        If it does not answer.
    """
    return _query_abilities(qemu, user, _version_of(qemu.path.stat()))


def check_fit(qemu: Qemu, *, trace: bool, user: QemuUser | None = None) -> None:
    """Raise HostError if nodes cannot run in a QEMU, or with `trace` cannot be counted in it."""
    ability = abilities(qemu, user)
    if ability.architecture != "x86_64":
        raise HostError(
            f"{qemu} emulates {ability.architecture[:40]}, and nodes are x86_64",
            hint=f"give the path of {PROGRAM}",
        )
    if trace and not ability.plugins:
        raise HostError(
            f"trace is True and {qemu} was built without plugins, which count the accesses",
            hint="give trace=False, or another QEMU (qemu='auto' is the host's)",
        )


def complaints(path: Path, user: QemuUser | None = None) -> str:
    """Return a QEMU's messages besides its answers when it lists all its types, as for libvirt."""
    questions = _QUESTIONS.replace(b"query-target", b"qom-list-types")
    output = output_of([str(path), *_SILENT, "-qmp", "stdio"], path, user, stdin=questions)
    lines = [line for line in output.decode(errors="replace").splitlines() if line and line[0] != "{"]
    return shortened("\n".join(lines[-3:]), 400) if lines else ""


def missing_libraries(path: Path, user: QemuUser | None = None) -> list[str]:
    """Return the shared libraries of a program that its loader does not find on this host."""
    output = output_of([str(path)], path, user, environment={"LD_TRACE_LOADED_OBJECTS": "1"})
    names = re.findall(rb"^\s*(\S+) => not found", output, re.MULTILINE)
    return [plain(name.decode(errors="replace")[:100], keep="") for name in names]


def _version_of(status: os.stat_result) -> tuple[int, ...]:
    """Return what changes when another program is put in a file's place."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@functools.cache
def _query(path: Path, user: QemuUser | None, _version: tuple[int, ...]) -> Qemu:
    if not path.is_file():
        raise HostError(f"{path} is no program", hint=f"give the path of {PROGRAM} itself")
    output = output_of([str(path), "-version"], path, user)
    match = _VERSION.search(output)
    if match is None and b"shared librar" in output and (missing := missing_libraries(path, user)):
        raise HostError(
            f"{path} cannot run here: this host lacks {', '.join(missing[:20])}",
            hint="install the packages that have these, or give qemu='auto' for the host's own",
        )
    if match is None:
        text = output.decode(errors="replace").strip()
        quotation = shortened(text, 80) if text else "nothing"
        raise HostError(f"{path} is no QEMU: asked for its -version it prints {quotation}; {INSTEAD}")
    major, minor, micro = (int(number or 0) for number in match.groups()[:3])
    packaged = plain(match[4].decode(errors="replace").strip()[:120], keep="")
    qemu = Qemu(path, 1_000_000 * major + 1000 * minor + micro, packaged)
    if qemu.version < LEAST:
        raise HostError(f"{qemu} is too old: nodes need {dotted(LEAST)} or newer; {INSTEAD}")
    return qemu


@functools.cache
def _query_abilities(qemu: Qemu, user: QemuUser | None, _version: tuple[int, ...]) -> Abilities:
    answers = output_of([str(qemu.path), *_SILENT, "-qmp", "stdio"], qemu.path, user, stdin=_QUESTIONS)
    architecture, plugins = "", False
    for line in answers.splitlines():
        with contextlib.suppress(ValueError, RecursionError, KeyError, TypeError, AttributeError):
            answer = json.loads(line)["return"]
            if isinstance(answer, dict):
                architecture = plain(str(answer.get("arch") or architecture), keep="")
            else:
                plugins = plugins or any(each.get("option") == "plugin" for each in answer)
    if not architecture:
        quotation = shortened(answers.decode(errors="replace").strip(), 80)
        raise HostError(
            f"{qemu} does not say what it emulates, asked over QMP it prints {quotation}; {INSTEAD}"
        )
    return Abilities(architecture, plugins)
