"""Bandwidth: bytes a second that one node moves in order, in DRAM beside FAM.

Bytes are counted as STREAM does: those that the program asked for. A read counts what it loads, a
write what it stores (not what a cache fetches first), a copy both, a triad a[i] = b[i] + s * c[i] of
doubles all three arrays. The working set is all that is touched: a copy goes from its first half to its
second, a triad's arrays are its thirds, in whole pairs of lines. A nontemporal write leaves the caches out
of it, and is over when a fence says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import xarray as xr

from fame_lab.core.jobs.progress import current
from fame_lab.errors import SpecError
from fame_lab.probes.common import working_set_curve
from fame_lab.probes.common.arguments import MAPPINGS, MEMORIES, fam_options, find_node
from fame_lab.probes.common.batches import batch_options, summary
from fame_lab.probes.common.constraints import Choice, Choices, Multiple, Range, Several
from fame_lab.probes.common.declaration import check_arguments
from fame_lab.probes.common.measurement import Measurement
from fame_lab.probes.common.working_sets import plan_working_sets
from fame_lab.results import plots
from fame_lab.results.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fame_lab.host.target import TargetLab

__all__ = ["OPERATIONS", "plot", "run"]

OPERATIONS = ("read", "write", "nt-write", "copy", "triad")

#: What counts as moved; every figure says it.
CONVENTION = "bytes as in STREAM: a copy counts those read and written, a triad its three arrays; GB is 1e9"


@check_arguments
def run(
    lab: TargetLab,
    *,
    node: int | str = 0,
    memories: Annotated[Sequence[str], Choices(*MEMORIES)] = MEMORIES,
    operations: Annotated[Sequence[str], Choices(*OPERATIONS)] = OPERATIONS,
    working_sets: Annotated[Sequence[int | str] | None, Several(Multiple(256))] = None,
    width: Annotated[int, Choice(8, 16)] = 8,
    unroll: Annotated[int, Choice(1, 8)] = 1,
    offset: Annotated[int | str, Multiple(64, 0)] = 0,
    mapping: Annotated[str, Choice(*MAPPINGS)] = "uc",
    batches: Annotated[int, Range(30, 1000)] = 30,
    batch_ms: Annotated[float, Range(1.0, 1000.0, "milliseconds")] = 1.0,
    timeout: Annotated[float, Range(1.0, 86400.0, "seconds")] = 120.0,
) -> Result:
    """Measure sequential bandwidth on one node. Overwrites the largest working set from `offset` on in FAM.

    Parameters
    ----------
    lab : Lab
    node : int or str
        The node that measures: its number, from 0, or its name.
    memories : sequence of {"dram", "fam"}
    operations : sequence of {"read", "write", "nt-write", "copy", "triad"}
    working_sets : sequence of int or str, optional
        Bytes, multiples of 256, for a triad 512 or more; by default powers of 16 from 4 KiB on, and 4 times
        the host's last cache, or as far as each memory has room.
    width : {8, 16}
        Bytes that one instruction moves: an integer register, or an SSE2 one, which an emulator takes
        apart.
    unroll : {1, 8}
        Moves in one turn of the loop. 1 is STREAM's plain loop; under emulation, where the loop's own
        instructions cost as much as its moves, 8 shows more of the memory.
    offset : int or str
        Where in FAM.
    mapping : {"uc", "wc", "wb"}
        How the CPU is asked to treat FAM.
    batches : int
        How many timed batches for each working set.
    batch_ms : float
        Milliseconds that a batch lasts at least. It holds whole passes.
    timeout : float
        Seconds for all working sets of one operation on one memory.

    Returns
    -------
    Result
        ``bandwidth`` [GB/s, 1e9 bytes a second] (operation, memory, working_set, batch),
        ``bandwidth_summary`` (statistic, operation, memory, working_set), ``preempted``, ``operations``
        (bytes in a batch), ``timer``. NaN where a memory has no room, which ``attrs["cut_short"]`` tells.

    Raises
    ------
    SpecError
        If a parameter cannot be right.
    ProbeError, CommandError
        If the node cannot measure it, for no memory has room for any size, for example.
    """
    if "triad" in operations and working_sets is not None and 256 in working_sets:
        raise SpecError(
            "a working set of 256 bytes is too small for the three arrays of a triad", hint="give 512"
        )
    measuring = find_node(lab, node)
    shared = ["--width", str(width), "--unroll", str(unroll), *batch_options(batches, batch_ms)]
    shared += fam_options(mapping)
    sets = plan_working_sets(lab, measuring, memories, working_sets, offset, step=16)
    per_operation = []
    mappings = []
    current().set_total(sets.runs(len(operations)))
    with Measurement(lab, "bandwidth") as measurement:
        for operation in operations:
            command = ["bandwidth", "--op", operation, *shared]
            same: dict[str, str | int] = {"op": operation, "width": width, "unroll": unroll}
            rows = [
                working_set_curve.sweep(measuring, command, each, sets, "bytes", batches, timeout, same)
                for each in memories
            ]
            # A byte a nanosecond is 1e9 bytes a second.
            units = {"units": "GB/s", "long_name": "bandwidth"}
            per_operation.append(
                working_set_curve.labelled(
                    rows, sets.sizes, "bandwidth", lambda cell: 1 / cell.ns_per_operation, **units
                )
            )
            mappings.append(working_set_curve.mapping(rows))
    dataset = xr.concat(per_operation, dim=xr.DataArray(operations, dims="operation", name="operation"))
    dataset["bandwidth_summary"] = summary(dataset["bandwidth"])
    attrs = {
        "node": measuring.name, "offset": sets.offset, "width": width, "unroll": unroll,
        "convention": CONVENTION, "cut_short": sets.cut_short,
    }  # fmt: skip
    settled = {"node": measuring.name, "working_sets": sets.sizes, "offset": sets.offset}
    return measurement.result(dataset, settled, mappings, attrs)


def plot(result: Result) -> Figure:
    """Draw bandwidth over the working set, a panel an operation and a line a memory."""
    dataset = result.dataset
    operations = [str(name) for name in dataset["operation"].values]
    columns = min(len(operations), 3)
    rows = -(-len(operations) // columns)
    figure, panels = plots.figure(
        f"Sequential bandwidth on {dataset.attrs['node']}, in moves of {dataset.attrs['width']} bytes",
        result.manifest,
        f"{working_set_curve.note(dataset)}\n{dataset.attrs['convention']}",
        columns=columns,
        rows=rows,
        height=3.7 if rows == 1 else 5.7,
    )
    for axes, operation in zip(panels, operations, strict=False):
        working_set_curve.draw(axes, dataset["bandwidth_summary"].sel(operation=operation))
        axes.set_title(operation, fontsize=10)
    panels[0].set_ylim(bottom=0)  # which all share
    for axes in panels[::columns]:
        axes.set_ylabel("bandwidth [GB/s]")
    spare = panels[len(operations) :]
    for axes in spare:
        axes.set_axis_off()
    if spare:
        lines = panels[0].get_legend_handles_labels()
        spare[0].legend(*lines, frameon=False, fontsize=8, loc="center")
    else:
        plots.legend_beside(panels[0])
    return figure
