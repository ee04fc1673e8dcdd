"""A sweep: the same measurement over working sets, in DRAM beside FAM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes

from fame_lab import plots
from fame_lab.errors import ProbeError
from fame_lab.probes.batches import Batches, read_batches
from fame_lab.probes.contention import contention_note
from fame_lab.probes.lines import Fields

if TYPE_CHECKING:
    from fame_lab.node import Node

__all__ = ["Row", "draw", "labelled", "mapping", "note", "sweep"]


@dataclass(frozen=True)
class Row:
    """One memory, measured at every size.

    Parameters
    ----------
    memory : str
    batches : list of Batches
        One a size.
    mapping : str
        The kernel's effective memory type of FAM's mapping, ``"unknown"`` if it does not tell.
    """

    memory: str
    batches: list[Batches]
    mapping: str


def sweep(
    node: Node,
    arguments: Sequence[str],
    memory: str,
    offset: int,
    sizes: Sequence[int],
    operations: str,
    count: int,
    timeout: float,
) -> Row:
    """Measure one memory on one node.

    Parameters
    ----------
    node : Node
    arguments : sequence of str
        The probe program's command and all options but those of memory, place and sizes.
    memory : {"dram", "fam"}
    offset : int
        Where in FAM.
    sizes : sequence of int
        Working sets in bytes.
    operations : str
        The member of a line that tells how many operations a batch holds.
    count : int
        How many batches.
    timeout : float
        Seconds.

    Raises
    ------
    ProbeError
        If what the node wrote is not what was asked for.
    """
    where = ["--memory", memory, "--offset", str(offset), "--sizes", ",".join(map(str, sizes))]
    lines = node.probe(*arguments, *where, timeout=timeout)
    if len(lines) != len(sizes):
        raise ProbeError(f"{node.name}: the probe wrote {len(lines)} lines for {len(sizes)} working sets")
    measured = []
    mappings = []
    for line, size in zip(lines, sizes, strict=True):
        fields = Fields(line, node.name)
        fields.choice("probe", [arguments[0]])
        fields.choice("memory", [memory])
        fields.integer("size", size, size)
        mappings.append(fields.mapping())
        measured.append(read_batches(fields, operations, count))
    return Row(memory, measured, " and ".join(sorted(set(mappings))))


def mapping(rows: Sequence[Row]) -> str:
    """Tell how FAM was mapped; ``"unknown"`` if it was not measured or the kernel does not tell."""
    return next((row.mapping for row in rows if row.memory == "fam"), "unknown")


def labelled(
    values: npt.NDArray[np.float64], rows: Sequence[Row], sizes: Sequence[int], **attrs: str
) -> tuple[xr.DataArray, dict[str, xr.DataArray]]:
    """Give rows their dimensions, and what is needed to judge them.

    Parameters
    ----------
    values : ndarray of shape (memory, working_set, batch)
    rows : sequence of Row
        One a memory.
    sizes : sequence of int
        Working sets in bytes.
    **attrs
        Of the values: ``units``, ``long_name``.

    Returns
    -------
    DataArray
        The values.
    dict of str to DataArray
        ``preempted`` for each batch, ``timer`` and ``operations`` for each working set.
    """
    coords = {
        "memory": ("memory", [row.memory for row in rows]),
        "working_set": ("working_set", list(sizes), {"units": "B", "long_name": "working set"}),
    }
    dims = ("memory", "working_set", "batch")

    def array(found: object, *, of_batches: bool = False, **told: str) -> xr.DataArray:
        return xr.DataArray(found, dims=dims[: 2 + of_batches], coords=coords, attrs=told)

    beside = {
        "preempted": array(
            [[cell.preempted for cell in row.batches] for row in rows],
            of_batches=True,
            long_name="something else had the guest's CPU during the batch",
        ),
        "operations": array(
            [[cell.operations for cell in row.batches] for row in rows], long_name="operations in a batch"
        ),
        "timer": array(
            [[cell.timer_ns for cell in row.batches] for row in rows],
            units="ns",
            long_name="what reading the clock costs",
        ),
    }
    return xr.DataArray(values, dims=dims, coords=coords, attrs=attrs), beside


def draw(axes: Axes, summary: xr.DataArray, *, every: int = 4) -> None:
    """Draw a line a memory over the working set: the median, its interval, and the range from min to p90.

    Sizes are labelled at each power of `every`.
    """
    for memory in summary["memory"].values:
        line = summary.sel(memory=memory)
        sizes = line["working_set"].values
        look = plots.MEMORY[str(memory)]
        colour = look["color"]
        found = {str(name): line.sel(statistic=name).values for name in line["statistic"].values}
        axes.fill_between(sizes, found["min"], found["p90"], color=colour, alpha=0.15, linewidth=0)
        axes.vlines(sizes, found["p50_low"], found["p50_high"], color=colour, linewidth=3, alpha=0.6)
        axes.plot(sizes, found["p50"], **look, markersize=5, label=str(memory).upper())
    plots.size_axis(axes, "working set", every=every)


def note(dataset: xr.Dataset) -> str:
    """Say how often a sweep was measured, and what its marks mean."""
    preempted = dataset["preempted"]
    count = f"{int(preempted.sum())} of {preempted.size} preempted"
    return (
        f"n = {dataset.sizes['batch']} batches a point ({count}); "
        f"marker: median, bar: its 95 % interval, band: min to p90; FAM mapped {dataset.attrs['mapping']}\n"
        f"{contention_note(dataset.attrs['host_cpu_wait'])}"
    )
