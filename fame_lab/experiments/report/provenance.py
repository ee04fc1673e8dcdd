"""The provenance of a report, known before its first cell runs: code, versions, host."""

from __future__ import annotations

import platform
import shlex
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from fame_lab.experiments.report.manifest import SOURCE, ReportManifest
from fame_lab.experiments.report.parameters import as_options
from fame_lab.lab.manifest import host

__all__ = ["describe"]


def describe(
    source: Path, sha256: str, parameters: dict[str, Any], ran: list[str], commit: str | None = None
) -> ReportManifest:
    """Return a manifest without what a run adds.

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
    commit : str, optional
        Of the notebook, where it does not lie in its clone any more.
    """
    again = ["fame-lab", "report", f"{SOURCE}/{source.name}", *as_options(parameters), "--output", "../again"]
    return ReportManifest(
        notebook=source.name,
        sha256=sha256,
        parameters=parameters,
        commands=[shlex.join(ran), "fame-lab rerun .", shlex.join(again)],
        commit={"notebook": commit or _commit(source.parent), "fame_lab": _commit(Path(__file__).parent)},
        versions={
            "fame_lab": metadata.version("fame_lab"),
            "python": platform.python_version(),
            "host_kernel": platform.release(),
        },
        packages=dict(sorted((each.name, each.version) for each in metadata.distributions())),
        host=host(),
    )


def _commit(directory: Path) -> str | None:
    """Name the commit that is checked out there; None where there is none, or no git."""
    words = ["git", "-C", str(directory), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        process = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip() or None
