"""Timer: what the clocks are worth that all else is measured with.

It measures the cost of reading a node's clock, the clock's step, the rate of the time stamp counter by that
clock, and the clock's rate by the host's; and how the CPU treats FAM. A short form of it comes before every
other probe, and is kept in the manifest of each result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import xarray as xr
from matplotlib.ticker import MaxNLocator

from fame_lab.core.jobs.progress import current, job
from fame_lab.errors import FameError, ProbeError
from fame_lab.probes.common.arguments import MAPPINGS, fam_options, find_nodes
from fame_lab.probes.common.batches import PREEMPTED, batch_options, summary
from fame_lab.probes.common.clock_sync import READINGS
from fame_lab.probes.common.constraints import Choice, Range
from fame_lab.probes.common.declaration import check_arguments
from fame_lab.probes.common.guest_clocks import CLOCKS, ClockReport, measure
from fame_lab.probes.common.host_contention import host_note, oversubscribed
from fame_lab.probes.common.measurement import Measurement
from fame_lab.results import plots
from fame_lab.results.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fame_lab.host.target import TargetLab

__all__ = ["plot", "run", "short"]

_SHORT_BATCHES = 30
_SHORT = ["--batches", str(_SHORT_BATCHES), "--batch-us", "100", "--ms", "80"]
#: Seconds for the short form. It takes a fifth of one, but more with all nodes of a large lab.
_SHORT_TIMEOUT = 30.0


@check_arguments
def run(
    lab: TargetLab,
    *,
    nodes: Sequence[int | str] | None = None,
    mapping: Annotated[str, Choice(*MAPPINGS)] = "uc",
    batches: Annotated[int, Range(30, 1000)] = 50,
    batch_ms: Annotated[float, Range(1.0, 1000.0, "milliseconds")] = 1.0,
    seconds: Annotated[float, Range(0.05, 10.0)] = 0.5,
) -> Result:
    """Measure the clocks of nodes, all at once. Overwrites none of the user's FAM.

    Parameters
    ----------
    lab : Lab
    nodes : sequence of int or str, optional
        By number, from 0, or by name; by default all.
    mapping : {"uc", "wc", "wb"}
        How the CPUs are asked to treat FAM.
    batches : int
        How many timed batches of reads.
    batch_ms : float
        Milliseconds that a batch lasts at least.
    seconds : float
        How long the guests' clocks are set against the host's. The longer, the closer.

    Returns
    -------
    Result
        ``cost`` [ns] of a read and ``preempted`` (read, node, batch), ``cost_summary`` (statistic, read,
        node), ``operations`` (reads in a batch); ``difference`` [ns] between reads of the clock that follow
        each other (node, look), and ``step`` [ns], the smallest above zero (node); ``tsc_khz`` (node);
        ``clock_ratio``, ``clock_ratio_low`` and ``clock_ratio_high`` (node), nanoseconds of the guest's clock
        for one of the host's and what bounds them, by Cristian's method, and the readings that they come
        from, ``host_before``, ``guest_clock``, ``host_after`` [ns] (node, reading), each since the first;
        ``mapping`` (node); the coordinate ``oversubscribed``.

    Raises
    ------
    SpecError
        If a parameter cannot be right.
    ProbeError, CommandError
        If a node's clock stands still, or the node does not answer.
    """
    chosen = find_nodes(lab, nodes, 1)
    words = [*fam_options(mapping), *batch_options(batches, batch_ms), "--ms", str(round(seconds * 1000))]
    timeout = 60 + seconds + 4 * batches * batch_ms / 1000
    current().set_total(len(chosen))
    with Measurement(lab, "timer") as measurement:
        reports = {}
        for name, report in measure(lab, chosen, words, batches, timeout).items():
            if isinstance(report, FameError):
                raise report
            reports[name] = report
    settled = {"nodes": list(reports)}
    timer = {name: _in_short(report) for name, report in reports.items()}
    mappings = {report.mapping for report in reports.values()}
    return measurement.result(_dataset(reports), settled, mappings, {}, timer=timer)


def short(lab: TargetLab, mapping: str = "uc") -> dict[str, dict[str, Any]]:
    """Measure the clocks of all nodes at once, in about a tenth of a second of theirs.

    Returns
    -------
    dict
        By the node's name: ``clock_ns`` and ``clock_ns_min``, the median and the least cost of a read;
        ``step_ns``; ``tsc_khz``; ``guest_over_host``, nanoseconds of the guest's clock for one of the host's,
        None if too few questions were answered; ``guest_over_host_bound``, by which it may be wrong;
        ``mapping``. A node that could not measure it has ``error`` instead, for the probe proper may do
        without that node.
    """
    words = [*fam_options(mapping), *_SHORT]
    # A job of its own, so that its runs do not count as runs of the probe that follows.
    with job("clocks", total=len(lab.nodes), unit="run", shown=False):
        reports = measure(lab, lab.nodes, words, _SHORT_BATCHES, _SHORT_TIMEOUT)
    return {
        name: {"error": str(report)} if isinstance(report, FameError) else _in_short(report)
        for name, report in reports.items()
    }


def _in_short(report: ClockReport) -> dict[str, Any]:
    fields = {
        "clock_ns": float(np.median(cost := report.costs["clock"].ns_per_operation)),
        "clock_ns_min": float(cost.min()),
        "step_ns": report.step_ns,
        "tsc_khz": report.khz,
        "mapping": report.mapping,
    }
    try:
        ratio, low, high = report.readings.ratio()
    except ProbeError as error:
        return fields | {"guest_over_host": None, "guest_over_host_bound": None, "why": str(error)}
    return fields | {"guest_over_host": ratio, "guest_over_host_bound": max(high - ratio, ratio - low)}


def _dataset(reports: dict[str, ClockReport]) -> xr.Dataset:
    every = list(reports.values())
    costs = [[report.costs[clock] for report in every] for clock in CLOCKS]

    def of_node(what: Callable[[ClockReport], Any], units: str, long_name: str, *dims: str) -> xr.Variable:
        values = [what(report) for report in every]
        return xr.Variable(("node", *dims), values, {"units": units, "long_name": long_name})

    cost = xr.DataArray(
        np.array([[cell.ns_per_operation for cell in row] for row in costs]),
        dims=("read", "node", "batch"),
        coords={"read": list(CLOCKS), "node": list(reports)},
        attrs={"units": "ns", "long_name": "what a read costs"},
    )
    ratios = np.array([report.readings.ratio() for report in every]).T
    of_each = {"units": "1", "long_name": "nanoseconds of the guest's clock for one of the host's"}
    names = ("clock_ratio", "clock_ratio_low", "clock_ratio_high")
    return xr.Dataset(
        {
            "cost": cost,
            "cost_summary": summary(cost),
            "preempted": (cost.dims, [[cell.preempted for cell in row] for row in costs], PREEMPTED),
            "operations": (
                cost.dims[:2],
                [[cell.operations for cell in row] for row in costs],
                {"long_name": "reads in a batch"},
            ),
            "difference": of_node(
                lambda report: report.differences, "ns", "from one read of the clock to the next", "look"
            ),
            "step": of_node(lambda report: report.step_ns, "ns", "the smallest difference above zero"),
            "tsc_khz": of_node(lambda report: report.khz, "kHz", "rate of the time stamp counter"),
            **{name: ("node", row, of_each) for name, row in zip(names, ratios, strict=True)},
            **_readings(every),
            "mapping": ("node", [report.mapping for report in every], {"long_name": "how FAM is mapped"}),
        },
        coords={"oversubscribed": oversubscribed(len(every))},
    )


def _readings(every: list[ClockReport]) -> dict[str, Any]:
    """Return the readings behind the ratios, each node's since its first."""
    table = np.full((3, len(every), READINGS), np.nan)
    for number, report in enumerate(every):
        rows = report.readings
        for row, values in enumerate((rows.before, rows.guest, rows.after)):
            table[row, number, : values.size] = values - (rows.guest if row == 1 else rows.before)[0]
    names = {
        "host_before": "the host's clock before a reading",
        "guest_clock": "the reading of the guest's clock",
        "host_after": "the host's clock after a reading",
    }
    return {
        name: (("node", "reading"), row, {"units": "ns", "long_name": long_name})
        for (name, long_name), row in zip(names.items(), table, strict=True)
    }


def plot(result: Result) -> Figure:
    """Draw what reads cost and the clock's step, and by how much guests' clocks differ from the host's."""
    dataset = result.dataset
    names = [str(name) for name in dataset["node"].values]
    note = f"n = {dataset.sizes['batch']} batches of reads a node; left: median, and from min to p90"
    figure, (costs, ratios) = plots.figure(
        "What the nodes' clocks are worth",
        result.manifest,
        f"{note}\nright: the interval that holds the ratio; FAM mapped {dataset.attrs['mapping']}\n"
        f"{host_note(dataset)}",
        columns=2,
        height=2.9 + 0.28 * len(names),
    )
    rows = np.arange(len(names))
    for number, (clock, label) in enumerate(zip(CLOCKS, ("reading the clock", "rdtsc"), strict=True)):
        stats = {
            name: dataset["cost_summary"].sel(read=clock, statistic=name) for name in ("min", "p50", "p90")
        }
        look = plots.style(number)
        costs.hlines(rows, stats["min"], stats["p90"], color=look["color"], linewidth=3, alpha=0.4)
        costs.plot(stats["p50"], rows, linestyle="", label=label, **look)
    costs.plot(dataset["step"], rows, linestyle="", label="the clock's step", **plots.style(2))
    costs.set_xscale("log")
    plots.plain_log(costs.xaxis)
    costs.set_xlabel("time [ns]")
    megahertz = (float(khz) / 1000 for khz in dataset["tsc_khz"].values)
    costs.set_yticks(
        rows, [f"{name}, TSC {rate:,.1f} MHz" for name, rate in zip(names, megahertz, strict=True)]
    )
    costs.set_ylim(len(names) - 0.5, -0.5)  # which both share: the first on top
    ratio, low, high = (1e6 * (dataset[f"clock_ratio{part}"].values - 1) for part in ("", "_low", "_high"))
    look = plots.style(3)
    ratios.errorbar(ratio, rows, xerr=(ratio - low, high - ratio), linestyle="", capsize=3, **look)
    ratios.axvline(0, color="0.5", linewidth=1)
    ratios.xaxis.set_major_locator(MaxNLocator(4))  # however wide, under load, its numbers are
    ratios.set_xlabel("guest clock / host clock - 1 [ppm]")
    plots.legend_above(costs, 3)
    return figure
