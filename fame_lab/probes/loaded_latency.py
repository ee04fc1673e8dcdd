"""Loaded latency: what a load costs on one node while the others load FAM.

The method of Intel's Memory Latency Checker: one node chases pointers, the others move lines of FAM with a
delay between them that sets how heavy the load is. The load that counts is the one achieved: the chasing
node counts the lines that the others move around each of its batches, by its own clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
import xarray as xr

from fame_lab.core.jobs.progress import current
from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import KIB, MIB
from fame_lab.errors import ProbeError
from fame_lab.probes.chase import ORDERS
from fame_lab.probes.common.arguments import MAPPINGS, check_offset, fam_options, find_node, find_nodes
from fame_lab.probes.common.barrier import run_at_barrier, single_record
from fame_lab.probes.common.batches import PREEMPTED, TIMER, Batches, batch_options, read_batches, summary
from fame_lab.probes.common.constraints import Choice, Multiple, Range, Several
from fame_lab.probes.common.declaration import check_arguments
from fame_lab.probes.common.host_contention import host_note, oversubscribed
from fame_lab.probes.common.measurement import Measurement
from fame_lab.probes.common.program_output import OutputRecord
from fame_lab.results import plots
from fame_lab.results.result import Result
from fame_lab.spec.fam_layout import BARRIER_SIZE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fame_lab.host.target import TargetLab, TargetNode

__all__ = ["DELAYS", "OPERATIONS", "plot", "run"]

#: Turns of an empty loop after each line: from none to a load that is hardly one.
DELAYS = (0, 2, 5, 10, 30, 100, 1000)

OPERATIONS = ("read", "write")

#: The delay that stands for no load at all.
UNLOADED = np.inf

_LINE = 64
_PAGE = 4 * KIB
_LARGEST = 32 * MIB


@dataclass(frozen=True)
class _Point:
    """The measurement with one delay."""

    batches: Batches
    windows_ns: npt.NDArray[np.float64]
    lines: npt.NDArray[np.float64]
    mapping: str


@check_arguments
def run(
    lab: TargetLab,
    *,
    node: int | str = 0,
    loaders: Sequence[int | str] | None = None,
    operation: Annotated[str, Choice(*OPERATIONS)] = "read",
    delays: Annotated[Sequence[int], Several(Range(0, 1_000_000))] = DELAYS,
    working_set: Annotated[int | str | None, Multiple(_PAGE)] = None,
    order: Annotated[str, Choice(*ORDERS)] = "page-grouped",
    offset: Annotated[int | str, Multiple(_PAGE, 0)] = 0,
    mapping: Annotated[str, Choice(*MAPPINGS)] = "uc",
    seed: Annotated[int, Range(0, 2**64 - 1)] = 1,
    batches: Annotated[int, Range(30, 1000)] = 50,
    batch_ms: Annotated[float, Range(1.0, 1000.0, "milliseconds")] = 1.0,
    peer_timeout: Annotated[float, Range(1.0, 3600.0, "seconds", whole=True)] = 30.0,
) -> Result:
    """Measure load-to-use latency in FAM under load. Overwrites a working set a node from `offset` on in FAM.

    Parameters
    ----------
    lab : Lab
    node : int or str
        The node that chases: its number, from 0, or its name.
    loaders : sequence of int or str, optional
        The nodes that load FAM, each in a range of its own; by default all others.
    operation : {"read", "write"}
        What they do to a line, in words of 8 bytes.
    delays : sequence of int
        Turns of an empty loop that a loader waits after each line of 64 bytes. The
        latency without any load is measured in any case, and first.
    working_set : int or str, optional
        Bytes for each node; by default 32 MiB, or the largest power of two of which FAM
        has room for as many as there are nodes.
    order : {"random", "page-grouped"}
        In which order the lines are visited, see :func:`fame_lab.probes.chase.run`.
    offset : int or str
        Where in FAM.
    mapping : {"uc", "wc", "wb"}
        How the CPUs are asked to treat FAM.
    seed : int
        Of the cycle. The same seed gives the same order of lines.
    batches : int
        How many timed batches for each delay.
    batch_ms : float
        Milliseconds that a batch lasts at least.
    peer_timeout : float
        Whole seconds that a node waits for the others to begin.

    Returns
    -------
    Result
        ``latency`` [ns] of one load, ``bandwidth`` [GB/s, 1e9 bytes a second] that the others achieved
        meanwhile, and ``preempted`` (delay, batch); ``latency_summary`` and ``bandwidth_summary`` (statistic,
        delay); ``achieved`` [GB/s], their bandwidth over all batches, ``operations`` (loads in a batch) and
        ``timer`` (delay). The coordinate ``delay`` is infinite without load; ``oversubscribed`` says that
        the host has fewer cores than nodes were busy.

    Raises
    ------
    SpecError
        If a parameter cannot be right.
    ProbeError, CommandError
        If there is no node to load FAM, one does not come, or goes away before the end.
    """
    chasing = find_node(lab, node)
    others = _find_loaders(lab, loaders, chasing)
    at, size = _choose_range(lab, working_set, offset, 1 + len(others))
    control = lab.fam.control
    # The second barrier serves as the word that ends the load.
    stop = control.barrier(1)
    shared = [*fam_options(mapping), "--stop", str(stop), "--size", str(size)]
    chase = ["loaded", *shared, "--offset", str(at), "--order", order, "--seed", str(seed)]
    chase += batch_options(batches, batch_ms)
    counters = ",".join(str(control.progress(each.index)) for each in others)

    def measure(delay: int | None) -> _Point:
        lab.fam.write(stop, bytes(BARRIER_SIZE), control=True)
        arguments = {chasing: chase if delay is None else [*chase, "--others", counters]}
        for number, each in enumerate(others if delay is not None else [], start=1):
            place = ["--offset", str(at + number * size), "--op", operation, "--delay", str(delay)]
            arguments[each] = ["pressure", *shared, *place]
        timeout = 4 * peer_timeout + 60 + 8 * batches * batch_ms / 1000
        lines = run_at_barrier(
            lab, arguments, peer_timeout=peer_timeout, timeout=timeout, unit="batches or lines"
        )
        moved = {
            each.name: single_record(lines, each, "pressure") for each in arguments if each is not chasing
        }
        total = sum(line.integer("lines", 0, 1 << 53) for line in moved.values())
        return _read(single_record(lines, chasing, "loaded"), batches, total)

    current().set_total(1 + len(delays) * (1 + len(others)))
    with Measurement(lab, "loaded_latency") as measurement:
        points = [measure(None), *(measure(delay) for delay in delays)]
    dataset = _dataset([UNLOADED, *delays], points, oversubscribed(1 + len(others)))
    names = [each.name for each in others]
    attrs = {
        "node": chasing.name, "loaders": " ".join(names), "operation": operation, "order": order,
        "offset": at, "working_set": size,
    }  # fmt: skip
    settled = {"node": chasing.name, "loaders": names, "working_set": size, "offset": at}
    mappings = {point.mapping for point in points}
    return measurement.result(dataset, settled, mappings, attrs, seed=seed)


def _find_loaders(
    lab: TargetLab, loaders: Sequence[int | str] | None, chasing: TargetNode
) -> list[TargetNode]:
    if loaders is None:
        others = [each for each in lab.nodes if each is not chasing]
    else:
        others = find_nodes(lab, loaders, 0)
    if chasing in others:
        raise ProbeError(
            f"loaders is {quoted(loaders)}: {chasing.name} chases, and cannot load FAM meanwhile"
        )
    if not others:
        raise ProbeError(f"there is no node to load FAM while {chasing.name} measures: this takes 2 or more")
    return others


def _choose_range(
    lab: TargetLab, working_set: int | str | None, offset: int | str, nodes: int
) -> tuple[int, int]:
    """Return where in FAM the ranges begin, and the bytes of each."""
    at = check_offset(lab, offset, _PAGE, _PAGE)
    if working_set is None:
        room = max((lab.fam.control.offset - at) // nodes, _PAGE)
        size = min(_LARGEST, 1 << (room.bit_length() - 1))
    else:
        size = int(working_set)
    return check_offset(lab, at, nodes * size, _PAGE), size


def _read(line: OutputRecord, count: int, total: int) -> _Point:
    batches = read_batches(line, "loads", count)
    windows = np.array(line.integers("window_ns", count, 1, 1 << 53), float)
    moved = np.array(line.integers("lines", count, 0, 1 << 53), float)
    if (windows < batches.nanoseconds).any():
        raise ProbeError(f"{line.node}: a batch took longer than the time that it lay in")
    if moved.sum() > total:
        raise ProbeError(f"{line.node} counted {moved.sum():.0f} lines of others, who moved only {total}")
    return _Point(batches, windows, moved, line.mapping())


def _dataset(delays: list[float], points: list[_Point], too_many: bool) -> xr.Dataset:
    cells = [point.batches for point in points]
    of_batches = ("delay", "batch")
    turns = {"long_name": "turns of an empty loop after each line; infinite: no load"}
    coords = {"delay": ("delay", np.array(delays, float), turns), "oversubscribed": too_many}
    nanoseconds = {"units": "ns", "long_name": "latency of a dependent load"}
    gigabytes = {"units": "GB/s", "long_name": "what the others moved"}
    # A byte a nanosecond is 1e9 bytes a second.
    bandwidth = np.array([_LINE * point.lines / point.windows_ns for point in points])
    achieved = [_LINE * point.lines.sum() / point.windows_ns.sum() for point in points]
    dataset = xr.Dataset(
        {
            "latency": (of_batches, np.array([cell.ns_per_operation for cell in cells]), nanoseconds),
            "bandwidth": (of_batches, bandwidth, gigabytes),
            "achieved": ("delay", achieved, gigabytes),
            "preempted": (of_batches, np.array([cell.preempted for cell in cells]), PREEMPTED),
            "operations": ("delay", [cell.operations for cell in cells], {"long_name": "loads in a batch"}),
            "timer": ("delay", [cell.timer_ns for cell in cells], TIMER),
        },
        coords,
    )
    dataset["latency_summary"] = summary(dataset["latency"])
    dataset["bandwidth_summary"] = summary(dataset["bandwidth"])
    return dataset


def plot(result: Result) -> Figure:
    """Draw latency over the load that was achieved, a point a delay."""
    dataset = result.dataset
    attrs = dataset.attrs
    count = f"{int(dataset['preempted'].sum())} of {dataset['preempted'].size} preempted in the guest"
    note = (
        f"n = {dataset.sizes['batch']} batches a point ({count}); marker: median, bar, band: min to p90\n"
        f"numbers: turns of an empty loop after each line of {_LINE} bytes; "
        f"{plots.size_label(attrs['working_set'])} a node, {attrs['order']}; FAM mapped {attrs['mapping']}\n"
        f"{host_note(dataset)}"
    )
    loaders = attrs["loaders"].split()
    others = loaders[0] if len(loaders) == 1 else f"{len(loaders)} nodes"
    figure, (axes,) = plots.figure(
        f"Latency of a dependent load on {attrs['node']} under {attrs['operation']}s of FAM by {others}",
        result.manifest,
        note,
        height=4.1,
    )
    latency = dataset["latency_summary"]
    low, median, high = (latency.sel(statistic=name) for name in ("min", "p50", "p90"))
    alone = plots.style(0)["color"]
    axes.axhspan(float(low.sel(delay=np.inf)), float(high.sel(delay=np.inf)), color=alone, alpha=0.15)
    axes.axhline(float(median.sel(delay=np.inf)), color=alone, linestyle="--", label="without load")
    # A delay whose loaders moved nothing has no place on a logarithmic axis.
    delays = dataset["delay"].values[np.isfinite(dataset["delay"]) & (dataset["achieved"] > 0)]
    delays = delays[np.argsort(dataset["achieved"].sel(delay=delays).values)]
    x, y = dataset["achieved"].sel(delay=delays), median.sel(delay=delays)
    look = plots.MEMORY["fam"]
    axes.vlines(x, low.sel(delay=delays), high.sel(delay=delays), color=look["color"], linewidth=3, alpha=0.4)
    # Nodes that take turns on a core give no curve of latency over load: dashed and hollow, it claims less.
    crowded = {
        "linestyle": "--",
        "markerfacecolor": "white",
        "label": "under load: oversubscribed, see below",
    }
    axes.plot(x, y, **look | (crowded if bool(dataset["oversubscribed"]) else {"label": "under load"}))
    for delay in delays:
        at = (float(x.sel(delay=delay)), float(y.sel(delay=delay)))
        axes.annotate(f"{delay:,.0f}", at, (5, 5), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        plots.plain_log(axis)
    axes.set_xlabel("load that the others achieved [GB/s]")
    axes.set_ylabel("latency of a load [ns]")
    plots.legend_above(axes, 2)
    return figure
