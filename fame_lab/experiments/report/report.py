"""A notebook in, a report out: one self-contained page, its data, and what it takes to repeat it."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat

from fame_lab.core.jobs.progress import job
from fame_lab.core.numeric import check_seconds
from fame_lab.core.paths import given_path
from fame_lab.errors import ReportError, SpecError
from fame_lab.experiments.report.execute import execute
from fame_lab.experiments.report.html_page import exporter, page
from fame_lab.experiments.report.manifest import MANIFEST, SOURCE, ReportManifest
from fame_lab.experiments.report.parameters import as_options, checked, with_parameters
from fame_lab.experiments.report.provenance import describe
from fame_lab.experiments.report.ro_crate import CRATE, write_crate
from fame_lab.results.capture import CapturedResults
from fame_lab.results.storage import save_directory

__all__ = ["CELL_DEADLINE", "_build", "report"]

CELL_DEADLINE = 900.0

_DATA, _FIGURES = "data", "figures"

log = logging.getLogger(__name__)


def report(
    notebook: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    parameters: Mapping[str, Any] | None = None,
    cell_deadline: float = CELL_DEADLINE,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Execute a notebook and make a folder of what it showed and measured.

    The kernel is this Python. Labs that the notebook leaves running end with the run, however it ends.

    Parameters
    ----------
    notebook : path
        It is read, and not changed.
    output : path
        The folder, made if it is not there; an earlier report of a notebook of that name is replaced as a
        whole. In it are NAME.html, the page; NAME.ipynb, executed; ``data/``, every result and traffic that
        was made, one folder each, for :meth:`fame_lab.Result.load` and :meth:`fame_lab.Traffic.load`;
        ``figures/``, by cell;
        ``source/``, the notebook as it was; ``manifest.json``, where all this comes from; and
        ``ro-crate-metadata.json``, the same for archives of research data.
    parameters : mapping, optional
        Values for what the notebook's cell tagged ``parameters`` assigns, as JSON can hold them.
    cell_deadline : float
        Seconds that one cell may take.
    progress : callable, optional
        Told in a few words what goes on, instead of a bar over the cells.

    Returns
    -------
    Path
        The page. It refers to no other file and no other host.

    Raises
    ------
    SpecError
        If there is no such notebook, it has no such parameter, or the output holds something else.
    ReportError
        If a cell failed or took too long. The folder is made all the same, and shows where.
    KeyboardInterrupt
        If it was interrupted. The folder is made all the same, unless an earlier report is there.
    HostError
        If the folder cannot be written.

    Examples
    --------
    >>> report("experiment.ipynb", "out", parameters={"nodes": 4})  # doctest: +SKIP
    PosixPath('/.../out/experiment.html')
    """
    return _build(
        given_path("notebook", notebook),
        given_path("output", output),
        parameters or {},
        cell_deadline,
        progress,
    )


def _build(
    notebook: Path,
    output: Path,
    parameters: Mapping[str, Any],
    cell_deadline: float,
    progress: Callable[[str], None] | None,
    *,
    ran: list[str] | None = None,
    commit: str | None = None,
) -> Path:
    """Make a report; see :func:`report`.

    Parameters
    ----------
    notebook, output, parameters, cell_deadline, progress
        As there.
    ran : list of str, optional
        The words of the command, where they are not report's.
    commit : str, optional
        Of the notebook, where it does not lie in its clone any more.
    """
    cell_deadline = check_seconds("cell_deadline", cell_deadline)
    source, place = _paths(notebook, output)
    raw = source.read_bytes()
    content = _read(source, raw)
    values = checked(content, parameters)
    ran = ran or ["fame-lab", "report", str(notebook), *as_options(values), "--output", str(output)]
    content = with_parameters(content, values)
    writer = exporter()
    provenance = describe(source, hashlib.sha256(raw).hexdigest(), values, ran, commit)
    failure: ReportError | KeyboardInterrupt | None

    def fill(folder: Path) -> None:
        nonlocal failure
        (folder / SOURCE).mkdir()
        (folder / SOURCE / source.name).write_bytes(raw)
        manifest, failure = _run(content, provenance, source.parent, folder / _DATA, cell_deadline, progress)
        if isinstance(failure, KeyboardInterrupt) and place.exists():
            raise failure  # the report that is there may be a whole one
        manifest = dataclasses.replace(manifest, figures=_save_figures(content, folder / _FIGURES))
        (folder / source.name).write_text(nbformat.writes(content), encoding="utf-8")
        (folder / f"{source.stem}.html").write_text(
            page(writer, content, source.parent, manifest), encoding="utf-8"
        )
        manifest.write(folder)
        write_crate(folder, manifest)

    names = {source.name, f"{source.stem}.html", MANIFEST, CRATE, SOURCE, _DATA, _FIGURES}
    save_directory(place, names, fill, f"a report of {source.name}")
    html = place / f"{source.stem}.html"
    if isinstance(failure, KeyboardInterrupt):
        log.warning("the report up to the interrupt is %s", html)
        raise failure
    if failure is not None:
        raise ReportError(f"{source}: {failure}; the report up to there is {html}")
    return html


def _paths(source: Path, output: Path) -> tuple[Path, Path]:
    source, output = source.resolve(), output.resolve()
    if not source.is_file():
        raise SpecError(f"there is no notebook {source}", hint="give the path of an .ipynb file")
    if source.is_relative_to(output):
        raise SpecError(f"output is {output}, where the notebook itself lies", hint="give another directory")
    # Whoever has `data` and `figures` of his own in a directory is not to lose them by their names.
    if output.is_dir() and any(output.iterdir()) and not _is_report(output, source.name):
        raise SpecError(
            f"output is {output}, which holds something else than a report of {source.name}",
            hint="give a directory that is not there yet",
        )
    return source, output


def _is_report(folder: Path, notebook: str) -> bool:
    try:
        return ReportManifest.read(folder).notebook == notebook
    except SpecError:
        return False


def _read(source: Path, raw: bytes) -> nbformat.NotebookNode:
    try:
        content: nbformat.NotebookNode = nbformat.reads(raw.decode("utf-8"), as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError) as error:
        raise SpecError(f"{source} is not a notebook: {str(error).splitlines()[0]}") from error
    return content


def _run(
    content: nbformat.NotebookNode,
    provenance: ReportManifest,
    directory: Path,
    data: Path,
    cell_deadline: float,
    progress: Callable[[str], None] | None,
) -> tuple[ReportManifest, ReportError | KeyboardInterrupt | None]:
    """Execute the cells. Return the manifest with their results, and the error that ended them early."""
    captured, reason, began = CapturedResults(data), "", _now()
    failure: ReportError | KeyboardInterrupt | None = None
    try:
        with job(provenance.notebook, total=len(content.cells), unit="cell", shown=progress is None) as cells:

            def tell(words: str) -> None:
                cells.describe(words)
                if progress is not None:
                    progress(words)

            execute(content, directory, cell_deadline, tell, captured)
    except ReportError as error:
        reason, failure = str(error), error
    except KeyboardInterrupt as error:
        reason, failure = "it was interrupted", error  # what was measured until then is worth having
    time = {"began": began, "ended": _now()}
    results, missing = captured.results(), captured.missing()
    return dataclasses.replace(
        provenance, stopped=reason, time=time, results=results, missing=missing
    ), failure


def _save_figures(content: nbformat.NotebookNode, place: Path) -> list[dict[str, Any]]:
    """Save each picture as a file, named by its cell, and list them."""
    figures = []
    for cell, picture, png in _pictures(content):
        path = place / f"cell{cell:02d}-{picture}.png"
        place.mkdir(exist_ok=True)
        path.write_bytes(png)
        figures.append({"cell": cell, "file": f"{place.name}/{path.name}"})
    return figures


def _pictures(content: nbformat.NotebookNode) -> Iterator[tuple[int, int, bytes]]:
    for number, cell in enumerate(content.cells, start=1):
        outputs = [output.get("data", {}) for output in cell.get("outputs", [])]
        pngs = [data["image/png"] for data in outputs if "image/png" in data]
        for picture, png in enumerate(pngs, start=1):
            yield number, picture, base64.b64decode(png)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
