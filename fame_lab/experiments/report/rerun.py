"""Repeat a report from its folder alone, and compare the two."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fame_lab.core.paths import given_path
from fame_lab.errors import SpecError
from fame_lab.experiments.report.manifest import SOURCE, ReportManifest, read_limited

if TYPE_CHECKING:
    from fame_lab.experiments.compare.comparison import Comparison

__all__ = ["default_output", "exact_results_agree", "rerun"]


def rerun(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    cell_deadline: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Make a report again, and compare what both measured.

    The notebook is taken from the folder and executed in an empty directory, with the parameters that it had.
    **It is a program, and runs as you: read it first if the folder is somebody else's.** Nothing else in the
    folder is executed or evaluated. Files that the notebook read beside itself are not in it.

    Parameters
    ----------
    folder : path
        What :func:`fame_lab.report` made. It is not changed.
    output : path, optional
        The new report; by default beside the folder, with ``-rerun`` to its name.
    cell_deadline : float, optional
        Seconds that one cell may take; by default as for a report.
    progress : callable, optional
        Told in a few words what goes on, instead of a bar over the cells.

    Returns
    -------
    Comparison
        Of the two folders, the old one first; see :func:`fame_lab.compare`.

    Raises
    ------
    SpecError
        If the folder holds no report, the notebook in it is not the one that it was made from, or the output
        cannot be.
    ReportError
        If a cell failed or took too long. The new folder shows where.

    Examples
    --------
    >>> comparison = rerun("out")  # doctest: +SKIP
    >>> print(comparison)  # doctest: +SKIP
    """
    # Late, for they bring a kernel's client and xarray.
    from fame_lab.experiments.compare.comparison import compare
    from fame_lab.experiments.report.report import CELL_DEADLINE, _build

    old = given_path("folder", folder).resolve()
    new = default_output(folder) if output is None else given_path("output", output).resolve()
    if new.is_relative_to(old):
        raise SpecError(f"output is {new}, in the report that is repeated", hint="give another directory")
    before = ReportManifest.read(old)
    raw = _notebook(old, before)
    with tempfile.TemporaryDirectory(prefix="fame_lab-") as place:
        notebook = Path(place) / before.notebook
        notebook.write_bytes(raw)
        _build(
            notebook,
            new,
            before.parameters,
            CELL_DEADLINE if cell_deadline is None else cell_deadline,
            progress,
            ran=["fame-lab", "rerun", os.fspath(folder), "--output", os.fspath(output or new)],
            commit=before.commit.get("notebook"),
        )
    return compare(old, new)


def exact_results_agree(comparison: Comparison) -> bool:
    """Return whether all agrees that has to: what there is, and what was counted. Nothing is no agreement.

    Times need not. They are each host's own, and two runs on one host differ by more than either's batches
    tell; how far is said in the comparison.
    """
    counts = [row for row in comparison.rows if row.kind == "exact"]
    return (
        bool(counts) and not any(comparison.only.values()) and all(row.verdict != "differs" for row in counts)
    )


def default_output(folder: str | os.PathLike[str]) -> Path:
    """Return where the report goes that is made again, if nobody says."""
    place = Path(folder).resolve()
    return place.with_name(f"{place.name}-rerun")


def _notebook(folder: Path, manifest: ReportManifest) -> bytes:
    path = folder / SOURCE / manifest.notebook
    try:
        raw = read_limited(path)
    except (OSError, ValueError) as error:
        raise SpecError(f"the notebook of the report in {str(folder)!r} cannot be read: {error}") from error
    if hashlib.sha256(raw).hexdigest() != manifest.sha256:
        raise SpecError(f"{str(path)!r} is not what the report was made from: its sha256 differs")
    return raw
