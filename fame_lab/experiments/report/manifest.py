"""A report's manifest, ``manifest.json``: written, and read as a stranger's."""

from __future__ import annotations

import json
import platform
import re
import shlex
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError
from fame_lab.experiments.report.parameters import as_options
from fame_lab.lab.manifest import host

__all__ = ["MANIFEST", "SOURCE", "ReportSource", "describe", "read", "read_limited"]

MANIFEST = "manifest.json"
#: The directory of the notebook as it was, byte by byte.
SOURCE = "source"
_FORMAT = 1
_NAME = re.compile(r"[^/\0]{1,250}\.ipynb")
_COMMIT = re.compile(r"[0-9a-f]{7,64}(-dirty)?")
_MAX_BYTES = 64 << 20  # bytes of a manifest or a notebook: far more than a thousand results have


@dataclass(frozen=True)
class ReportSource:
    """What is needed to make a report again.

    Parameters
    ----------
    notebook : str
        Its file's name.
    sha256 : str
        Of that file.
    parameters : dict
        Those that were given, as JSON has them.
    commit : str, optional
        That it was of, by its own account.
    """

    notebook: str
    sha256: str
    parameters: dict[str, Any]
    commit: str | None


def describe(source: Path, sha256: str, parameters: dict[str, Any], ran: list[str]) -> dict[str, Any]:
    """Return what is known before the first cell runs, in values that JSON can hold.

    Parameters
    ----------
    source : path
        The notebook.
    sha256 : str
        Of it.
    parameters : dict
        Those that are given to it.
    ran : list of str
        The words of the command that is run, or would have the same done.

    Returns
    -------
    dict
        ``format``; ``notebook`` and its ``sha256``; ``parameters``; ``commands``: what was run, and what
        makes it again from within the folder; ``commit`` of the notebook and of this package, where they
        lie in a git clone, with ``-dirty`` if it was changed; ``versions``; ``packages``, all installed;
        ``host``. The lab's side (QEMU, libvirt, accelerator, image, mapping) is in each result's own.
    """
    again = ["fame-lab", "report", f"{SOURCE}/{source.name}", *as_options(parameters), "--output", "../again"]
    return {
        "format": _FORMAT,
        "notebook": source.name,
        "sha256": sha256,
        "parameters": parameters,
        "commands": [shlex.join(ran), "fame-lab rerun .", shlex.join(again)],
        "commit": {"notebook": _commit(source.parent), "fame_lab": _commit(Path(__file__).parent)},
        "versions": {
            "fame_lab": metadata.version("fame_lab"),
            "python": platform.python_version(),
            "host_kernel": platform.release(),
        },
        "packages": dict(sorted((each.name, each.version) for each in metadata.distributions())),
        "host": host(),
    }


def read(folder: Path) -> ReportSource:
    """Read what is needed to make a report again; whoever wrote it is not trusted.

    Raises
    ------
    SpecError
        If the folder holds no report that this version can repeat.
    """
    try:
        told = json.loads(read_limited(folder / MANIFEST))
        if not isinstance(told, dict) or told.get("format") != _FORMAT or "notebook" not in told:
            raise ValueError(f"{MANIFEST} is no report's, or not of format {_FORMAT}")
        notebook, parameters = told["notebook"], told.get("parameters", {})
        # A name, and no way out of the folder.
        if not isinstance(notebook, str) or not _NAME.fullmatch(notebook):
            raise ValueError(f"notebook is {quoted(notebook)}, and not the name of an .ipynb file")
        if not isinstance(parameters, dict):
            raise ValueError(f"parameters are {quoted(parameters)}, and not a mapping")
        commit = told["commit"].get("notebook") if isinstance(told.get("commit"), dict) else None
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            commit = None
    except (OSError, ValueError, RecursionError) as error:
        raise SpecError(f"{str(folder)!r} holds no report that can be read: {error}") from error
    return ReportSource(notebook, str(told.get("sha256", "")), parameters, commit)


def read_limited(path: Path) -> bytes:
    """Read a file of a folder that a stranger may have made.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, is no plain file, whose reading could last for ever, or is too large.
    """
    if not path.is_file():
        raise ValueError(f"{path.name} is missing, or no plain file")
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path.name} has more than {_MAX_BYTES} bytes")
    return path.read_bytes()


def _commit(directory: Path) -> str | None:
    """Name the commit that is checked out there; None where there is none, or no git."""
    words = ["git", "-C", str(directory), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        told = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return told.stdout.strip() or None
