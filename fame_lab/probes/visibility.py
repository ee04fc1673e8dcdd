"""Visibility: from a store on one node to its first sight on another, and on the host through numpy.

Two nodes' clocks have an offset that nobody knows, so that no single time can be given for one way: each
exchange gives an *interval*, of which :mod:`fame_lab.probes.common.clock_bounds` works out as much as the
clocks prove. It lies between 0 and the round trip, and holds the readings of the clock as well.

The host has one clock for both of its ways: it stores a number through numpy, a node answers as fast as it
can, and the host looks through numpy until the answer is there. What the host sees can be no older than
that round trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.ticker import EngFormatter, FuncFormatter

from fame_lab.core.jobs.progress import current
from fame_lab.core.sanitize import quoted
from fame_lab.errors import ProbeError, SpecError
from fame_lab.probes.common.arguments import MAPPINGS, check_offset, fam_options, find_nodes
from fame_lab.probes.common.barrier import Records, run_at_barrier
from fame_lab.probes.common.batches import summary
from fame_lab.probes.common.clock_bounds import Exchanges, Times
from fame_lab.probes.common.constraints import Choice, Multiple, Range
from fame_lab.probes.common.declaration import check_arguments
from fame_lab.probes.common.host_contention import host_note, oversubscribed
from fame_lab.probes.common.host_round_trip import host_round_trips
from fame_lab.probes.common.measurement import Measurement
from fame_lab.probes.common.program_output import OutputRecord
from fame_lab.results import plots
from fame_lab.results.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fame_lab.host.target import TargetLab, TargetNode

__all__ = ["plot", "run"]

#: Bytes of FAM: the writer's line and the reader's, 128 bytes apart.
_SIZE = 256
_WARM_UP = 3
_MAX_EXCHANGES = 100_000
_LATEST = 1 << 62


@check_arguments
def run(
    lab: TargetLab,
    *,
    nodes: Sequence[int | str] = (0, 1),
    offset: Annotated[int | str, Multiple(128, 0)] = 0,
    batches: Annotated[int, Range(30, 1000)] = 50,
    exchanges: Annotated[int, Range(1, 1000)] = 100,
    max_drift: Annotated[float, Range(0.001, 0.5)] = 0.05,
    mapping: Annotated[str, Choice(*MAPPINGS)] = "uc",
    peer_timeout: Annotated[float, Range(1.0, 3600.0, "seconds", whole=True)] = 10.0,
) -> Result:
    """Measure when a store is seen. Overwrites 256 bytes of FAM from `offset` on.

    Parameters
    ----------
    lab : Lab
    nodes : pair of int or str
        The writer and the reader, by number, from 0, or by name. The reader answers the host, too.
    offset : int or str
        Where in FAM.
    batches : int
        Bursts of exchanges. Between them, the nodes look whether they were preempted.
    exchanges : int
        Exchanges in a burst, and up to 100,000 in all.
    max_drift : float
        How much faster or slower one guest's clock may run than the other's. The
        intervals hold if this does; where they contradict each other it does not, and there is no result.
    mapping : {"uc", "wc", "wb"}
        How the CPUs are asked to treat FAM. No fence follows a store.
    peer_timeout : float
        Whole seconds that a node waits for the other before the probe fails.

    Returns
    -------
    Result
        ``one_way`` [ns] (end: lower, upper; exchange), ``round_trip`` [ns] (exchange), both by the writer's
        clock; the raw ``store``, ``answer`` by the writer's and ``sight`` by the reader's clock [ns]
        (exchange), which count from each one's boot; ``preempted`` (exchange): either node was, in that
        burst. ``host_round_trip`` [ns] and ``host_preempted`` (look). Of each time a ``_summary``. ``timer``
        and ``clock_step`` [ns] (node): what a reading costs, and the most by which it lags. The coordinates
        ``burst`` (exchange), ``writer``, ``reader``, ``oversubscribed``.

    Raises
    ------
    SpecError
        If a parameter cannot be right.
    ProbeError, CommandError
        If there are no two nodes, one does not come or does not answer, a clock goes back, or the clocks
        contradict each other.
    """
    if batches * exchanges > _MAX_EXCHANGES:
        raise SpecError(f"{batches} bursts of {exchanges} exchanges are more than {_MAX_EXCHANGES:,} in all")
    if len(nodes) != 2:
        raise SpecError(f"nodes is {quoted(nodes)}", hint="give the writer and the reader")
    writer, reader = find_nodes(lab, nodes, least=2)
    at = check_offset(lab, offset, _SIZE, _SIZE // 2)
    shared = ["visibility", *fam_options(mapping), "--offset", str(at)]
    bursts = [*shared, "--batches", str(batches), "--exchanges", str(exchanges)]
    arguments = {writer: [*bursts, "--role", "writer"], reader: [*bursts, "--role", "reader"]}
    # The program's own timeout ends first, and tells more.
    limits = {"peer_timeout": peer_timeout, "timeout": 4 * peer_timeout + 60}
    current().set_total(3)  # both nodes, and the reader once more for the host
    with Measurement(lab, "visibility") as measurement:
        lines = run_at_barrier(lab, arguments, unit="bursts", **limits)
        host = host_round_trips(
            lab, reader, shared, at, count=batches * exchanges, warm_up=_WARM_UP * exchanges, **limits
        )
    wrote = _Side(lines[writer.name], writer, "writer", batches, exchanges)
    read = _Side(lines[reader.name], reader, "reader", batches, exchanges)
    dataset = _dataset(wrote, read, host, max_drift)
    settled = {"nodes": [writer.name, reader.name], "offset": at}
    return measurement.result(dataset, settled, {wrote.mapping, read.mapping}, {"offset": at})


class _Side:
    """One node's report: its clock readings, in order, and what is needed to judge them."""

    def __init__(self, records: Records, node: TargetNode, role: str, batches: int, exchanges: int) -> None:
        self.name = node.name
        if len(records) != batches:
            raise ProbeError(f"{node.name}: the probe wrote {len(records)} lines for {batches} bursts")
        bursts = [OutputRecord(line, node.name) for line in records]
        for number, burst in enumerate(bursts):
            burst.choice("probe", ["visibility"])
            burst.choice("role", [role])
            burst.integer("burst", number, number)
        names = ("store", "answer") if role == "writer" else ("sight",)
        readings = [[burst.integers(name, exchanges, 0, _LATEST) for name in names] for burst in bursts]
        #: Of shape (exchange, reading).
        self.times: Times = np.array(readings, np.int64).transpose(0, 2, 1).reshape(-1, len(names))
        if (np.diff(self.times.ravel()) < 0).any():
            raise ProbeError(f"{node.name}: its clock went back during the exchanges")
        preempted = [burst.integer("preempted", 0, 1) for burst in bursts]
        self.preempted = np.repeat(np.array(preempted, bool), exchanges)
        self.burst = np.repeat(np.arange(batches), exchanges)
        self.timer = bursts[0].number("timer_ns", 0, 1e9)
        self.step = bursts[0].integer("step_ns", 1, 10**9)
        self.mapping = bursts[0].mapping()


def _dataset(wrote: _Side, read: _Side, host: Sequence[npt.NDArray[Any]], max_drift: float) -> xr.Dataset:
    (store, answer), (sight,) = wrote.times.T, read.times.T
    host_times, host_preempted = host
    proved = Exchanges(store, sight, answer, wrote.step, read.step)

    def nanoseconds(values: object, dims: Sequence[str], meaning: str) -> xr.DataArray:
        return xr.DataArray(values, dims=dims, attrs={"units": "ns", "long_name": meaning})

    one_way = nanoseconds(
        np.stack(proved.one_way(max_drift)), ("end", "exchange"), "from a store to its first sight"
    )
    round_trip = nanoseconds(proved.round_trip, ("exchange",), "round trip")
    host_trip = nanoseconds(host_times, ("look",), "the host's round trip through numpy")
    one_way = one_way.assign_coords(end=["lower", "upper"])
    return xr.Dataset(
        {
            "one_way": one_way,
            "one_way_summary": summary(one_way.rename(exchange="batch")),
            "round_trip": round_trip,
            "round_trip_summary": summary(round_trip.rename(exchange="batch")),
            "store": nanoseconds(store, ("exchange",), "the writer's clock before the store"),
            "sight": nanoseconds(sight, ("exchange",), "the reader's clock at first sight"),
            "answer": nanoseconds(answer, ("exchange",), "the writer's clock at the answer"),
            "preempted": (
                "exchange",
                wrote.preempted | read.preempted,
                {"long_name": "either node was preempted in that burst"},
            ),
            "host_round_trip": host_trip,
            "host_round_trip_summary": summary(host_trip.rename(look="batch")),
            "host_preempted": ("look", host_preempted, {"long_name": "the host's thread was preempted"}),
            "timer": nanoseconds([wrote.timer, read.timer], ("node",), "what reading the clock costs"),
            "clock_step": nanoseconds([wrote.step, read.step], ("node",), "the most that a reading lags"),
        },
        coords={
            "burst": ("exchange", wrote.burst),
            "node": [wrote.name, read.name],
            "writer": wrote.name,
            "reader": read.name,
            "oversubscribed": oversubscribed(2),
        },
        attrs={"max_drift": max_drift},
    )


def plot(result: Result) -> Figure:
    """Draw the distributions of the intervals' ends, of the round trip, and of the host's."""
    dataset = result.dataset
    disturbed, host_disturbed = int(dataset["preempted"].sum()), int(dataset["host_preempted"].sum())
    note = (
        f"n = {dataset.sizes['exchange']} exchanges ({disturbed} in bursts with a preemption in a guest) and "
        f"{dataset.sizes['look']} of the host ({host_disturbed} preempted)\n"
        "1 ns stands for 1 ns or less; "
        f"proved if the clocks drift by {100 * dataset.attrs['max_drift']:g} % or less; each time holds a "
        f"clock reading of {float(dataset['timer'].max()):.0f} ns; FAM mapped {dataset.attrs['mapping']}\n"
        f"{host_note(dataset)}"
    )
    writer, reader = dataset["writer"].item(), dataset["reader"].item()
    title = f"From a store on {writer} to its first sight on {reader}: what the clocks prove"
    figure, (axes,) = plots.figure(title, result.manifest, note)
    one_way = dataset["one_way"]
    for number, (label, values) in enumerate(
        (
            ("one way, at least", one_way.sel(end="lower")),
            ("one way, at most", one_way.sel(end="upper")),
            ("round trip", dataset["round_trip"]),
            (f"host to {reader} and back, through numpy", dataset["host_round_trip"]),
        )
    ):
        _draw(axes, values.values, label, number)
    axes.set_xscale("log")
    # From a nanosecond to what the scheduler takes: plain numbers would run into each other.
    seconds = EngFormatter("s")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda nanoseconds, _: seconds(nanoseconds * 1e-9)))
    axes.set_xlabel("time")
    axes.set_ylabel("share that is at most this long")
    axes.set_ylim(0, 1.02)
    plots.legend_above(axes, 2)
    return figure


def _draw(axes: Axes, nanoseconds: npt.NDArray[np.float64], label: str, number: int) -> None:
    values = np.sort(np.maximum(nanoseconds, 1))
    share = np.arange(1, values.size + 1) / values.size
    label = f"{label}: median {np.median(nanoseconds):,.0f} ns"
    axes.step(values, share, where="post", **plots.style(number), markevery=0.1, markersize=5, label=label)
