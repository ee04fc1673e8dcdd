"""False sharing: nodes that add to counters of their own, which lie in one line or in lines of their own.

An addition is a plain load and a plain store. No other node stores to a node's counter, so no addition may
get lost: in the end each counter must equal its node's count. The distances differ only in how many
nodes share a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
import xarray as xr

from fame_lab.core.jobs.progress import current
from fame_lab.probes.common.arguments import MAPPINGS, check_offset, fam_options, find_nodes
from fame_lab.probes.common.batches import summary
from fame_lab.probes.common.constraints import Choice, Multiple, Range, Several
from fame_lab.probes.common.contest import Contender, ContestSettings, contest, dataset
from fame_lab.probes.common.declaration import check_arguments
from fame_lab.probes.common.host_contention import crowding, host_note
from fame_lab.probes.common.measurement import Measurement
from fame_lab.results import plots
from fame_lab.results.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fame_lab.host.target import TargetLab, TargetNode

__all__ = ["DISTANCES", "plot", "run"]

#: Neighbours in one line; a line each; two lines each, for CPUs fetch lines in pairs.
DISTANCES = (8, 64, 128)

_COUNTS = {"additions": "additions"}
_WORD = 8
_FARTHEST = 4096


@check_arguments
def run(
    lab: TargetLab,
    *,
    nodes: Sequence[int | str] | None = None,
    distances: Annotated[Sequence[int], Several(Multiple(_WORD, _WORD, _FARTHEST))] = DISTANCES,
    offset: Annotated[int | str, Multiple(128, 0)] = 0,
    mapping: Annotated[str, Choice(*MAPPINGS)] = "uc",
    batches: Annotated[int, Range(30, 1000)] = 50,
    batch_ms: Annotated[float, Range(1.0, 1000.0, "milliseconds")] = 2.0,
    peer_timeout: Annotated[float, Range(1.0, 3600.0, "seconds", whole=True)] = 10.0,
) -> Result:
    """Measure each node as it adds to a counter of its own. Overwrites the counters in FAM from `offset` on.

    Parameters
    ----------
    lab : Lab
    nodes : sequence of int or str, optional
        Two or more, by number, from 0, or by name; by default all.
    distances : sequence of int
        From one counter to the next. The largest is what the others
        are compared with.
    offset : int or str
        Where in FAM.
    mapping : {"uc", "wc", "wb"}
        How the CPUs are asked to treat FAM.
    batches : int
        How many timed batches each node takes.
    batch_ms : float
        Milliseconds that a batch lasts at least.
    peer_timeout : float
        Whole seconds that a node waits for another before the probe fails.

    Returns
    -------
    Result
        ``rate`` [1/s] of additions (distance, node, batch) and ``rate_summary``; ``ratio`` of the median
        rate to that at the largest distance, ``expected`` and ``held`` (distance, node); ``oversubscribed``;
        and what :func:`fame_lab.probes.common.contest.dataset` gives. If a counter does not hold what its
        node counted, it has failed.

    Raises
    ------
    SpecError
        If a parameter cannot be right.
    ProbeError
        If there are no two nodes, one could not end its part, or its figures do not agree.
    """
    apart = sorted(distances)
    rules = ContestSettings(batches, batch_ms, peer_timeout)
    words = fam_options(mapping)
    members = find_nodes(lab, nodes, 2)
    size = len(members) * apart[-1]
    at = check_offset(lab, offset, size, 128)
    current().set_total(len(apart) * len(members))
    with Measurement(lab, "false_sharing") as measurement:
        runs = [_contend(lab, members, distance, at, words, rules) for distance in apart]
    data = dataset([run for run, _ in runs], {"distance": apart}, members, _COUNTS)
    _derive(data, np.array([counters for _, counters in runs]))
    mappings = {contender.mapping for run, _ in runs for contender in run}
    attrs = {"offset": at, "addition": "a plain load and a plain store"}
    settled = {"nodes": [node.name for node in members], "distances": apart, "offset": at}
    return measurement.result(data, settled, mappings, attrs, failed=_failure(data))


def _contend(
    lab: TargetLab,
    nodes: Sequence[TargetNode],
    distance: int,
    at: int,
    words: list[str],
    rules: ContestSettings,
) -> tuple[list[Contender], npt.NDArray[np.uint64]]:
    """Run one contest; return its contenders, and the final values of the counters."""
    size = (len(nodes) - 1) * distance + _WORD
    lab.fam.write(at, bytes(size))
    command = ["false_sharing", "--offset", str(at), "--distance", str(distance), *words]
    contenders = contest(lab, nodes, command, list(_COUNTS), rules)
    for contender in contenders:
        contender.fields.integer("distance", distance, distance)
    return contenders, np.frombuffer(lab.fam.read(at, size), "<u8")[:: distance // _WORD]


def _derive(data: xr.Dataset, counters: npt.NDArray[np.uint64]) -> None:
    """Add the variables that follow from the counts, and from the final counters."""
    dims = ("distance", "node")
    data["distance"].attrs.update(units="B", long_name="from one counter to the next")
    rate = 1e9 * data["additions"] / data["elapsed"]
    data["rate"] = rate.assign_attrs(units="1/s", long_name="additions by one node")
    data["rate_summary"] = summary(data["rate"])
    median = data["rate_summary"].sel(statistic="p50", drop=True)
    ratio = median / median.isel(distance=-1, drop=True)
    ratio.attrs = {"long_name": "median rate, to that at the largest distance"}  # and no unit
    data["ratio"] = ratio
    expected = data["all_additions"].astype("i8")
    data["expected"] = expected.assign_attrs(long_name="additions that the node made, warm-up included")
    data["held"] = (dims, counters, {"long_name": "what the counter held in the end"})
    data["oversubscribed"] = crowding(data.sizes["node"])


def _failure(data: xr.Dataset) -> str:
    """Return which counters differ from their nodes' counts; empty if none does."""
    failures = []
    for distance in data["distance"].values:
        for node in data["node"].values:
            cell = data.sel(distance=distance, node=node)
            counter, expected = int(cell["held"]), int(cell["expected"])
            if counter != expected:
                failures.append(
                    f"{distance} bytes apart, {node}'s counter holds {counter:,} of {expected:,} additions"
                )
    return "; ".join(failures)


def plot(result: Result) -> Figure:
    """Draw how fast each node adds, by how far the counters lie apart, and how that compares."""
    data = result.dataset
    distances = data["distance"].values
    preempted = data["preempted"]
    note = (
        f"n = {data.sizes['batch']} batches a mark ({int(preempted.sum())} of {preempted.size} "
        "preempted in the guest); marker: median, bar: min to p90\n"
        f"an addition is a plain load and a plain store; FAM mapped {data.attrs['mapping']}\n"
        f"{host_note(data)}"
    )
    names = [str(node) for node in data["node"].values]
    # More nodes than there are styles share one, and are told apart by their position.
    alike = len(names) > plots.N_STYLES
    if alike:
        note += f"\nat each distance, from left to right: {names[0]} to {names[-1]}"
    figure, (rates, ratios) = plots.figure(
        f"False sharing: {data.sizes['node']} nodes that add to counters of their own",
        result.manifest,
        note,
        columns=2,
        share_y=False,
        failed=result.failed,
    )
    rate = data["rate_summary"] / 1e6
    places = np.arange(distances.size)
    beside = np.linspace(-0.2, 0.2, data.sizes["node"])
    for number, (node, shift) in enumerate(zip(data["node"].values, beside, strict=True)):
        look = plots.style(0 if alike else number) | {"linestyle": "none", "markersize": 3 if alike else 5}
        one = rate.sel(node=node)
        low, high = (one.sel(statistic=name) for name in ("min", "p90"))
        rates.vlines(places + shift, low, high, color=look["color"], linewidth=2, alpha=0.4)
        rates.plot(places + shift, one.sel(statistic="p50"), **look, label=str(node))
        ratios.plot(places + shift, data["ratio"].sel(node=node), **look)
    rates.set_yscale("log")
    plots.plain_log(rates.yaxis)
    rates.set_ylabel("additions [million/s]")
    ratios.set_ylim(bottom=0)
    ratios.axhline(1, color="0.5", linewidth=1, linestyle="--")
    ratios.set_ylabel(f"median rate, to that {distances[-1]} bytes apart")
    for axes in (rates, ratios):
        axes.set_xticks(places, [str(distance) for distance in distances])
        axes.set_xlim(-0.5, distances.size - 0.5)
        axes.set_xlabel("distance from counter to counter [B]")
    if not alike:
        plots.legend_above(rates, 4)
    return figure
