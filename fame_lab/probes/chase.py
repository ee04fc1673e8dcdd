"""Pointer chase: the latency of a load that waits for the one before it, in DRAM beside FAM.

A line every stride bytes of a working set holds the address of the next, in one random cycle through all of
them, so that no prefetcher guesses it. What grows with the working set is the way through the caches and
the TLB; both memories are mapped in 4 KiB pages, so that the TLB is the same for both. To tell the two
apart, the cycle is random throughout, or grouped by pages as multichase does it: through all lines of one
page, then of another, so that a page is looked up once for all its lines.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import xarray as xr

from fame_lab.core.jobs.progress import current
from fame_lab.probes.common import working_set_curve
from fame_lab.probes.common.arguments import MAPPINGS, MEMORIES, fam_options, find_node
from fame_lab.probes.common.batches import batch_options, summary
from fame_lab.probes.common.constraints import Choice, Choices, Multiple, PowerOfTwo, Range, Several
from fame_lab.probes.common.declaration import check_arguments
from fame_lab.probes.common.measurement import Measurement
from fame_lab.probes.common.working_sets import plan_working_sets
from fame_lab.results import plots
from fame_lab.results.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fame_lab.host.target import TargetLab

__all__ = ["ORDERS", "STRIDES", "plot", "run"]

ORDERS = ("random", "page-grouped")

#: Bytes from a line to the next that may be measured: a cache line to a page.
STRIDES = (64, 128, 256, 512, 1024, 2048, 4096)


@check_arguments
def run(
    lab: TargetLab,
    *,
    node: int | str = 0,
    memories: Annotated[Sequence[str], Choices(*MEMORIES)] = MEMORIES,
    working_sets: Annotated[Sequence[int | str] | None, Several(Multiple(64))] = None,
    orders: Annotated[str | Sequence[str], Choices(*ORDERS)] = ORDERS,
    strides: Annotated[int | str | Sequence[int | str], Several(PowerOfTwo(64, 4096))] = 64,
    offset: Annotated[int | str, Multiple(64, 0)] = 0,
    mapping: Annotated[str, Choice(*MAPPINGS)] = "uc",
    seed: Annotated[int, Range(0, 2**64 - 1)] = 1,
    batches: Annotated[int, Range(30, 1000)] = 50,
    batch_ms: Annotated[float, Range(1.0, 1000.0, "milliseconds")] = 1.0,
    timeout: Annotated[float, Range(1.0, 86400.0, "seconds")] = 120.0,
) -> Result:
    """Measure load-to-use latency on one node. Overwrites the largest working set from `offset` on in FAM.

    Parameters
    ----------
    lab : Lab
    node : int or str
        The node that measures: its number, from 0, or its name.
    memories : sequence of {"dram", "fam"}
    working_sets : sequence of int or str, optional
        Bytes, multiples of the largest stride; by default powers of four from 4 KiB to 4 times the host's
        last cache, or as far as each memory has room.
    orders : str or sequence of {"random", "page-grouped"}
        In which order the lines are visited. One that is not in a sequence is no dimension.
    strides : int, str or sequence of them
        Bytes from one line of the cycle to the next in memory. One that is
        not in a sequence is no dimension.
    offset : int or str
        Where in FAM.
    mapping : {"uc", "wc", "wb"}
        How the CPU is asked to treat FAM.
    seed : int
        Of the cycle. The same seed gives the same order of lines.
    batches : int
        How many timed batches for each working set.
    batch_ms : float
        Milliseconds that a batch lasts at least.
    timeout : float
        Seconds for all working sets of one memory, in one order with one stride.

    Returns
    -------
    Result
        ``latency`` [ns] of one load and ``preempted`` (order, stride, memory, working_set, batch),
        ``latency_summary`` (statistic, order, stride, memory, working_set), ``operations`` (loads in a
        batch), ``timer``. NaN where a memory has no room, which ``attrs["cut_short"]`` tells.

    Raises
    ------
    SpecError
        If a parameter cannot be right.
    ProbeError, CommandError
        If the node cannot measure it, for no memory has room for any size, for example.
    """
    measuring = find_node(lab, node)
    in_orders = [orders] if isinstance(orders, str) else list(orders)
    in_strides = [int(each) for each in ([strides] if isinstance(strides, (int, str)) else strides)]
    shared = ["--seed", str(seed), *batch_options(batches, batch_ms), *fam_options(mapping)]
    sets = plan_working_sets(lab, measuring, memories, working_sets, offset, multiple=max(in_strides), step=4)
    mappings = set()

    def measure(order: str, stride: int) -> xr.Dataset:
        command = ["chase", "--order", order, "--stride", str(stride), *shared]
        same: dict[str, str | int] = {"order": order, "stride": stride}
        rows = [
            working_set_curve.sweep(measuring, command, each, sets, "loads", batches, timeout, same)
            for each in memories
        ]
        mappings.add(working_set_curve.mapping(rows))
        units = {"units": "ns", "long_name": "latency of a dependent load"}
        return working_set_curve.labelled(
            rows, sets.sizes, "latency", lambda cell: cell.ns_per_operation, **units
        )

    current().set_total(sets.runs(len(in_orders) * len(in_strides)))
    with Measurement(lab, "chase") as measurement:
        grid = [[measure(order, stride) for stride in in_strides] for order in in_orders]
    between = {"units": "B", "long_name": "from one line of the cycle to the next in memory"}
    dataset = xr.combine_nested(grid, ["order", "stride"], combine_attrs="override").assign_coords(
        order=in_orders, stride=("stride", in_strides, between)
    )
    dataset = dataset.transpose("order", "stride", ...)
    if isinstance(orders, str):
        dataset = dataset.isel(order=0)
    if isinstance(strides, (int, str)):
        dataset = dataset.isel(stride=0)
    dataset["latency_summary"] = summary(dataset["latency"])
    attrs = {"node": measuring.name, "offset": sets.offset, "cut_short": sets.cut_short}
    settled = {
        "node": measuring.name, "working_sets": sets.sizes, "orders": in_orders, "strides": in_strides,
        "offset": sets.offset,
    }  # fmt: skip
    return measurement.result(dataset, settled, mappings, attrs, seed=seed)


def plot(result: Result) -> Figure:
    """Draw latency over the working set, a panel an order and a line a memory.

    Of several strides it draws a line each, and a row of panels a memory.
    """
    dataset = result.dataset
    latency = dataset["latency_summary"]
    latency = latency.expand_dims([name for name in ("order", "stride") if name not in latency.dims])
    one_stride = latency.sizes["stride"] == 1
    orders = [str(order) for order in latency["order"].values]
    memories = [""] if one_stride else [str(memory) for memory in latency["memory"].values]
    note = working_set_curve.note(dataset, band=one_stride)
    figure, panels = plots.figure(
        f"Pointer chase on {dataset.attrs['node']}: latency of a dependent load",
        result.manifest,
        f"{note}\na line every {latency['stride'].item()} bytes" if one_stride else note,
        columns=len(orders),
        rows=len(memories),
        height=3.7 if one_stride else 2.7 + 2.2 * len(memories),
    )
    looks = {str(stride): plots.style(number) for number, stride in enumerate(latency["stride"].values)}
    for axes, (memory, order) in zip(panels, itertools.product(memories, orders), strict=True):
        curves = latency.sel(order=order)
        if one_stride:
            working_set_curve.draw(axes, curves.isel(stride=0))
        else:
            working_set_curve.draw(axes, curves.sel(memory=memory), over="stride", looks=looks, band=False)
        axes.set_title(order if one_stride else f"{memory.upper()}, {order}", fontsize=10)
    panels[0].set_yscale("log")  # which all share
    plots.plain_log(panels[0].yaxis)
    for axes in panels[:: len(orders)]:
        axes.set_ylabel("latency of a load [ns]")
    plots.legend_beside(panels[0], "" if one_stride else "stride [B]")
    return figure
