"""A curve over working sets: one measurement of each, in DRAM beside FAM."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes

from fame_lab.errors import ProbeError
from fame_lab.probes.common.batches import PREEMPTED, TIMER, Batches, read_batches
from fame_lab.probes.common.host_contention import contention_note
from fame_lab.probes.common.program_output import OutputRecord
from fame_lab.probes.common.working_sets import WorkingSets
from fame_lab.results import plots

if TYPE_CHECKING:
    from fame_lab.host.target import TargetNode
__all__ = ["MemoryCurve", "draw", "labelled", "mapping", "note", "sweep"]


@dataclass(frozen=True)
class MemoryCurve:
    """One memory, measured at every size that it has room for.

    Parameters
    ----------
    memory : str
    batches : list of Batches
        One a size; of no operations and NaN where it was not measured.
    mapping : str
        The kernel's effective memory type of FAM's mapping, ``"unknown"`` if it does not tell.
    """

    memory: str
    batches: list[Batches]
    mapping: str


def sweep(
    node: TargetNode,
    arguments: Sequence[str],
    memory: str,
    sets: WorkingSets,
    operations: str,
    count: int,
    timeout: float,
    same: Mapping[str, str | int] | None = None,
) -> MemoryCurve:
    """Measure one memory on one node.

    Parameters
    ----------
    node : Node
    arguments : sequence of str
        The probe program's command and all options but those of memory, place and sizes.
    memory : {"dram", "fam"}
    sets : WorkingSets
    operations : str
        The member of a line that tells how many operations a batch holds.
    count : int
        How many batches.
    timeout : float
        Seconds.
    same : mapping, optional
        Members of a line that repeat what was asked for.

    Raises
    ------
    ProbeError
        If what the node wrote is not what was asked for.
    """
    sizes = [size for size in sets.sizes if size <= sets.room[memory]]
    lines = []
    if sizes:
        where = ["--memory", memory, "--offset", str(sets.offset), "--sizes", ",".join(map(str, sizes))]
        lines = node.probe(*arguments, *where, timeout=timeout)
    if len(lines) != len(sizes):
        raise ProbeError(f"{node.name}: the probe wrote {len(lines)} lines for {len(sizes)} working sets")
    measured = {}
    mappings = set()
    for line, size in zip(lines, sizes, strict=True):
        fields = OutputRecord(line, node.name)
        for name, value in {"probe": arguments[0], "memory": memory, "size": size, **(same or {})}.items():
            if isinstance(value, str):
                fields.choice(name, [value])
            else:
                fields.integer(name, value, value)
        mappings.add(fields.mapping())
        measured[size] = read_batches(fields, operations, count)
    nothing = Batches(0, np.full(count, np.nan), np.zeros(count, bool), np.nan)
    row = [measured.get(size, nothing) for size in sets.sizes]
    return MemoryCurve(memory, row, " and ".join(sorted(mappings)) or "unknown")


def mapping(rows: Sequence[MemoryCurve]) -> str:
    """Return how FAM was mapped; ``"unknown"`` if it was not measured or the kernel does not tell."""
    return next((row.mapping for row in rows if row.memory == "fam"), "unknown")


def labelled(
    rows: Sequence[MemoryCurve],
    sizes: Sequence[int],
    name: str,
    value: Callable[[Batches], npt.NDArray[np.float64]],
    **attrs: str,
) -> xr.Dataset:
    """Build a dataset of rows with dimensions, and with what is needed to judge them.

    Parameters
    ----------
    rows : sequence of MemoryCurve
        One a memory.
    sizes : sequence of int
        Working sets in bytes.
    name : str
        Of the variable that holds the values.
    value : callable
        Makes the values of batches, an array of shape (batch,).
    **attrs
        Of the values: ``units``, ``long_name``.

    Returns
    -------
    Dataset
        The values and ``preempted`` (memory, working_set, batch); ``timer`` [ns] and ``operations``
        (memory, working_set). Where nothing was measured, values are NaN and operations 0.
    """
    coords = {
        "memory": ("memory", [row.memory for row in rows]),
        "working_set": ("working_set", list(sizes), {"units": "B", "long_name": "working set"}),
    }
    dims = ("memory", "working_set")

    def table(of: Callable[[Batches], object]) -> npt.NDArray[np.generic]:
        return np.array([[of(cell) for cell in row.batches] for row in rows])

    return xr.Dataset(
        {
            name: ((*dims, "batch"), table(value), attrs),
            "preempted": ((*dims, "batch"), table(lambda cell: cell.preempted), PREEMPTED),
            "operations": (dims, table(lambda cell: cell.operations), {"long_name": "operations in a batch"}),
            "timer": (dims, table(lambda cell: cell.timer_ns), TIMER),
        },
        coords,
    )


def draw(
    axes: Axes,
    summary: xr.DataArray,
    *,
    over: str = "memory",
    looks: Mapping[str, Mapping[str, Any]] = plots.MEMORY,
    band: bool = True,
) -> None:
    """Draw lines over the working set: the median, its interval, and the range from min to p90.

    Parameters
    ----------
    axes : Axes
    summary : DataArray
        Of the dimensions ``statistic``, ``working_set`` and `over`.
    over : str
        The dimension that has a line for each of its values.
    looks : mapping
        By the value, as text, matplotlib's keywords for its line.
    band : bool
        Whether the range is drawn.
    """
    for value in summary[over].values:
        line = summary.sel({over: value})
        sizes = line["working_set"].values
        look = looks[str(value)]
        colour = look["color"]
        stats = {str(name): line.sel(statistic=name).values for name in line["statistic"].values}
        if band:
            axes.fill_between(sizes, stats["min"], stats["p90"], color=colour, alpha=0.15, linewidth=0)
        axes.vlines(sizes, stats["p50_low"], stats["p50_high"], color=colour, linewidth=3, alpha=0.6)
        label = str(value).upper() if over == "memory" else str(value)
        axes.plot(sizes, stats["p50"], **look, markersize=5, label=label)
    plots.size_axis(axes, "working set")


def note(dataset: xr.Dataset, *, band: bool = True) -> str:
    """Return a figure's note: the number of batches, the meaning of the marks, and what is left out."""
    preempted = dataset["preempted"]
    measured = int((dataset["operations"] > 0).sum()) * dataset.sizes["batch"]
    count = f"{int(preempted.sum())} of {measured} preempted in the guest"
    marks = "marker: median, bar: its 95 % interval" + (", band: min to p90" if band else "")
    cut = dataset.attrs["cut_short"]
    return (
        f"n = {dataset.sizes['batch']} batches a point ({count}); {marks}\n"
        f"FAM mapped {dataset.attrs['mapping']}; {contention_note(dataset.attrs['host_cpu_wait'])}"
    ) + (f"\n{cut}" if cut else "")
