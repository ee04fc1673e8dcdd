"""Bandwidth: bytes a second that one node moves in order, in DRAM beside FAM.

Bytes are counted as STREAM does: those that the program asked for. A read counts what it loads, a
write what it stores (not what a cache fetches first), a copy both, a triad a[i] = b[i] + s * c[i] of
doubles all three arrays. The working set is all that is touched: a copy goes from its first half to its
second, a triad's arrays are its thirds, in whole pairs of lines. A nontemporal write leaves the caches out
of it, and is over when a fence says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from fame_lab.core.jobs.progress import current
from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import parse_size
from fame_lab.errors import SpecError
from fame_lab.probes.common import working_set_curve
from fame_lab.probes.common.arguments import MEMORIES, check_memories, fam_options, find_node
from fame_lab.probes.common.batches import Batches, check_batches, check_timeout, summary
from fame_lab.probes.common.measurement import Measurement
from fame_lab.probes.common.parameter_types import takes_numpy
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


@takes_numpy
def run(
    lab: TargetLab,
    *,
    node: int | str = 0,
    memories: Sequence[str] = MEMORIES,
    operations: Sequence[str] = OPERATIONS,
    working_sets: Sequence[int | str] | None = None,
    width: int = 8,
    unroll: int = 1,
    offset: int | str = 0,
    mapping: str = "uc",
    batches: int = 30,
    batch_ms: float = 1.0,
    timeout: float = 120.0,
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
        Where in FAM, a multiple of 64.
    mapping : {"uc", "wc", "wb"}
        How the CPU is asked to treat FAM.
    batches : int
        How many timed batches for each working set, from 30 to 1000.
    batch_ms : float
        Milliseconds that a batch lasts at least, from 1 to 1000. It holds whole passes.
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
    asked = check_batches(batches, batch_ms)
    check_timeout(timeout)
    chosen = check_memories(memories)
    wanted = [operations] if isinstance(operations, str) else list(operations)
    if not wanted or len(set(wanted)) != len(wanted) or not set(wanted) <= set(OPERATIONS):
        raise SpecError(
            f"operations is {quoted(operations)}: give some of {', '.join(OPERATIONS)}, each once"
        )
    if type(width) is not int or width not in (8, 16):
        raise SpecError(f"width is {quoted(width)}: give 8 or 16")
    if type(unroll) is not int or unroll not in (1, 8):
        raise SpecError(f"unroll is {quoted(unroll)}: give 1 or 8")
    if "triad" in wanted and working_sets is not None and any(parse_size(s) == 256 for s in working_sets):
        raise SpecError("a working set of 256 bytes is too small for the three arrays of a triad: give 512")
    measuring = find_node(lab, node)
    shared = ["--width", str(width), "--unroll", str(unroll), *asked, *fam_options(mapping)]
    sets = plan_working_sets(lab, measuring, chosen, working_sets, offset, multiple=256, step=16)
    per_operation = []
    mappings = []
    current().set_total(sets.runs(len(wanted)))
    with Measurement(lab, "bandwidth") as measurement:
        for operation in wanted:
            command = ["bandwidth", "--op", operation, *shared]
            same: dict[str, str | int] = {"op": operation, "width": width, "unroll": unroll}
            rows = [
                working_set_curve.sweep(measuring, command, each, sets, "bytes", batches, timeout, same)
                for each in chosen
            ]
            # A byte a nanosecond is 1e9 bytes a second.
            units = {"units": "GB/s", "long_name": "bandwidth"}
            per_operation.append(
                working_set_curve.labelled(
                    rows, sets.sizes, "bandwidth", lambda cell: 1 / cell.ns_per_operation, **units
                )
            )
            mappings.append(working_set_curve.mapping(rows))
    dataset = xr.concat(per_operation, dim=xr.DataArray(wanted, dims="operation", name="operation"))
    dataset["bandwidth_summary"] = summary(dataset["bandwidth"])
    attrs = {
        "node": measuring.name, "offset": sets.offset, "width": width, "unroll": unroll,
        "convention": CONVENTION, "cut_short": sets.cut_short,
    }  # fmt: skip
    parameters = {
        "node": measuring.name, "memories": chosen, "operations": wanted, "working_sets": sets.sizes,
        "width": width, "unroll": unroll, "offset": sets.offset, "mapping": mapping,
        "batches": batches, "batch_ms": batch_ms,
    }  # fmt: skip
    return measurement.result(dataset, parameters, mappings, attrs)


def _gigabytes_a_second(cell: Batches) -> npt.NDArray[np.float64]:
    # A byte a nanosecond is 1e9 bytes a second.
    return 1 / cell.ns_per_operation


def plot(result: Result) -> Figure:
    """Draw bandwidth over the working set, a panel an operation and a line a memory."""
    dataset = result.dataset
    operations = [str(name) for name in dataset["operation"].values]
    columns = min(len(operations), 3)
    rows = -(-len(operations) // columns)
    made, panels = plots.figure(
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
    return made
