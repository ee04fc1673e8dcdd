"""Locks: nodes that take turns under one lock in FAM, and how soon and how fairly they get it.

Test-and-set (here test and test-and-set): whoever is quickest. Ticket: in the order of numbers drawn. MCS:
in the order of a queue, each node waiting at a line of its own (J. M. Mellor-Crummey, M. L. Scott,
Algorithms for Scalable Synchronization on Shared-Memory Multiprocessors, ACM TOCS 1991).

Under the lock a counter is incremented by a plain load and store: it must hold in the end how often the
lock was acquired. No two clocks can time the way from one node's release to the next one's acquisition. So
the nodes also count, under the lock, how often it went from one of them to another. The time of a hand-over
is that of a batch divided by the hand-overs between any nodes in it. It includes the owner's work under the
lock, and the owner's repeated acquisitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
import xarray as xr

from fame_lab.core.jobs.progress import current
from fame_lab.probes.common.arguments import check_offset, fam_options, find_nodes
from fame_lab.probes.common.batches import STATISTICS, summary
from fame_lab.probes.common.constraints import Choice, Choices, Multiple, Range
from fame_lab.probes.common.contest import Contender, ContestSettings, contest, dataset, jain_index
from fame_lab.probes.common.declaration import check_arguments
from fame_lab.probes.common.host_contention import crowding, host_note
from fame_lab.probes.common.measurement import Measurement
from fame_lab.results import plots
from fame_lab.results.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fame_lab.host.target import TargetLab, TargetNode

__all__ = ["LOCKS", "plot", "run"]

LOCKS = ("tas", "ticket", "mcs")

_COUNTS = {
    "acquisitions": "acquisitions",
    "repeats": "acquisitions by the node that had it before",
    "hand_overs": "hand-overs from any node to another",
}

#: Bytes from the lock to the data that it guards, and to the nodes' queue entries; bytes of an entry.
_GUARDED, _QUEUE, _STRIDE = 256, 384, 128
_UNORDERED = "stores to write-combined memory may overtake each other, so that no lock would hold"


@check_arguments
def run(
    lab: TargetLab,
    *,
    locks: Annotated[Sequence[str], Choices(*LOCKS)] = LOCKS,
    nodes: Sequence[int | str] | None = None,
    outside: Annotated[int, Range(0, 1_000_000)] = 128,
    offset: Annotated[int | str, Multiple(_STRIDE, 0)] = 0,
    mapping: Annotated[str, Choice("uc", "wb", why=_UNORDERED)] = "uc",
    batches: Annotated[int, Range(30, 1000)] = 50,
    batch_ms: Annotated[float, Range(1.0, 1000.0, "milliseconds")] = 2.0,
    peer_timeout: Annotated[float, Range(1.0, 3600.0, "seconds", whole=True)] = 10.0,
) -> Result:
    """Measure nodes that take turns. Overwrites 384 bytes of FAM from `offset` on, and 128 a node.

    Parameters
    ----------
    lab : Lab
    locks : sequence of {"tas", "ticket", "mcs"}
    nodes : sequence of int or str, optional
        Two or more, by number, from 0, or by name; by default all.
    outside : int
        How long a node stays away from the lock after its release: turns of an empty loop, each of which
        takes about a nanosecond. With none, a node that has just had a test-and-set lock
        has it again before another can see it free.
    offset : int or str
        Where in FAM.
    mapping : {"uc", "wb"}
        How the CPUs are asked to treat FAM. In write-combined memory the store that releases a lock may
        overtake those made under it.
    batches : int
        How many timed batches each node takes.
    batch_ms : float
        Milliseconds that a batch lasts at least.
    peer_timeout : float
        Whole seconds that a node waits for another before the probe fails.

    Returns
    -------
    Result
        ``rate`` [1/s] of acquisitions (lock, node, batch), ``rate_summary``, ``total_rate`` [1/s] (lock);
        ``hand_over`` [ns] (lock, node, batch), NaN if there was none in a batch, ``hand_over_summary``
        (statistic, lock) of all nodes' batches that had one, and ``hand_over_window`` [ns] (lock, node);
        ``fairness`` and ``repeat_share`` (lock) of the common windows; ``expected``, ``held`` and
        ``hand_overs_held`` (lock); ``oversubscribed``; and what
        :func:`fame_lab.probes.common.contest.dataset` gives. If mutual exclusion was violated, it has failed.

    Raises
    ------
    SpecError
        If a parameter cannot be right.
    ProbeError
        If there are no two nodes, one could not end its part, with the lock or without, or its figures do
        not agree.

    Notes
    -----
    A node whose wait is long naps now and then, so that with more nodes than host cores the next in a queue
    gets one; such runs are flagged.
    """
    rules = ContestSettings(batches, batch_ms, peer_timeout)
    words = ["--outside", str(outside), *fam_options(mapping)]
    members = find_nodes(lab, nodes, 2)
    at = check_offset(lab, offset, _QUEUE + _STRIDE * len(members), _STRIDE)
    current().set_total(len(locks) * len(members))
    with Measurement(lab, "locks") as measurement:
        runs = [_contend(lab, members, lock, at, words, rules) for lock in locks]
    contests = [run for run, _, _ in runs]
    data = dataset(contests, {"lock": locks}, members, _COUNTS)
    _derive(data, contests)
    for name, values, what in (
        ("expected", [sum(c.in_all["acquisitions"] for c in run) for run in contests], "acquisitions in all"),
        ("held", [counter for _, counter, _ in runs], "what the counter under the lock held in the end"),
        ("hand_overs_held", [changes for _, _, changes in runs], "hand-overs counted under the lock"),
    ):
        data[name] = ("lock", np.array(values, "u8"), {"long_name": what})
    mappings = {contender.mapping for run in contests for contender in run}
    settled = {"nodes": [node.name for node in members], "offset": at}
    failed = _failure(data)
    return measurement.result(data, settled, mappings, {"offset": at, "outside": outside}, failed=failed)


def _contend(
    lab: TargetLab, nodes: Sequence[TargetNode], lock: str, at: int, words: list[str], rules: ContestSettings
) -> tuple[list[Contender], int, int]:
    """Run one contest; return its contenders, the final counter, and the hand-overs counted with it."""
    lab.fam.write(at, bytes(_QUEUE + _STRIDE * len(nodes)))
    command = ["locks", "--lock", lock, "--offset", str(at), *words]
    contenders = contest(lab, nodes, command, list(_COUNTS), rules)
    for contender in contenders:
        contender.fields.choice("lock", [lock])
        contender.check_part("repeats", "acquisitions")
    counter, _, changes = np.frombuffer(lab.fam.read(at + _GUARDED, 24), "<u8")
    return contenders, int(counter), int(changes)


def _derive(data: xr.Dataset, runs: list[list[Contender]]) -> None:
    """Add the variables that follow from the counts."""
    rate = 1e9 * data["acquisitions"] / data["elapsed"]
    data["rate"] = rate.assign_attrs(units="1/s", long_name="acquisitions by one node")
    data["rate_summary"] = summary(data["rate"])
    total = (1e9 * data["window_acquisitions"] / data["window"]).sum("node")
    data["total_rate"] = total.assign_attrs(units="1/s", long_name="acquisitions by all nodes")
    some = data["hand_overs"].where(data["hand_overs"] > 0)
    hand_over = (data["elapsed"] / some).assign_attrs(units="ns", long_name="time of a hand-over")
    data["hand_over"] = hand_over
    per_lock = [_summary_of_some(hand_over.isel(lock=number)) for number in range(hand_over.sizes["lock"])]
    data["hand_over_summary"] = xr.concat(per_lock, dim=data["lock"]).transpose("statistic", "lock")
    changes = data["window_hand_overs"].where(data["window_hand_overs"] > 0)
    data["hand_over_window"] = (data["window"] / changes).assign_attrs(
        units="ns", long_name="time of a hand-over, of the common windows as a whole"
    )
    fairness = [jain_index([contender.in_window["acquisitions"] for contender in run]) for run in runs]
    data["fairness"] = (
        "lock",
        fairness,
        {"long_name": "Jain's index of the acquisitions in the common windows (Jain, Chiu and Hawe 1984)"},
    )
    repeated, acquired = (data[f"window_{name}"].sum("node") for name in ("repeats", "acquisitions"))
    data["repeat_share"] = (repeated / acquired).assign_attrs(
        long_name="share of the acquisitions in the common windows by the node that had the lock before"
    )
    data["oversubscribed"] = crowding(data.sizes["node"])


def _summary_of_some(values: xr.DataArray) -> xr.DataArray:
    """Return the summary of the batches of all nodes together, without those that have no value."""
    # In the order of measuring: node by node, nodes of different speeds would look like dependent batches.
    flat = values.transpose("batch", ...).values.ravel()
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        return xr.DataArray(
            np.full(len(STATISTICS), np.nan), {"statistic": list(STATISTICS)}, attrs=values.attrs
        )
    return summary(xr.DataArray(flat, dims="batch", attrs=values.attrs))


def _failure(data: xr.Dataset) -> str:
    """Return which locks failed to exclude all nodes but one, and how; empty if none did."""
    failures = []
    for lock in data["lock"].values:
        one = data.sel(lock=lock)
        counter, expected = int(one["held"]), int(one["expected"])
        # Each acquisition but the first is either a repeat or a hand-over.
        changes = expected - int(one["all_repeats"].sum()) - 1
        if counter != expected:
            failures.append(f"{lock}: the counter holds {counter:,} of {expected:,} acquisitions")
        elif int(one["hand_overs_held"]) != changes:
            failures.append(f"{lock}: {int(one['hand_overs_held']):,} of {changes:,} hand-overs were counted")
    return f"mutual exclusion was violated: {'; '.join(failures)}" if failures else ""


def plot(result: Result) -> Figure:
    """Draw the distribution of the hand-over time, and how fairly the nodes got the lock."""
    data = result.dataset
    preempted = data["preempted"]
    without = int((data["hand_overs"] == 0).sum())
    note = (
        f"n = {data['hand_over'][0].size} batches a lock, of all nodes ({int(preempted.sum())} of "
        f"{preempted.size} preempted in the guest, {without} without a hand-over)\n"
        "vertical line: median; time of a hand-over: a batch's, over the hand-overs between any nodes in it\n"
        f"after its release a node stays away for {data.attrs['outside']} turns of an empty loop; FAM mapped "
        f"{data.attrs['mapping']}\n{host_note(data)}"
    )
    figure, (times, shares) = plots.figure(
        f"Locks: {data.sizes['node']} nodes that take turns",
        result.manifest,
        note,
        columns=2,
        share_y=False,
        height=4.1,
        failed=result.failed,
    )
    locks = [str(lock) for lock in data["lock"].values]
    for number, lock in enumerate(locks):
        _draw_times(times, data.sel(lock=lock), number, lock)
    times.set_xscale("log")
    plots.plain_log(times.xaxis)
    times.set_xlabel("time of a hand-over [µs]")
    times.set_ylabel("share of batches at most this long")
    times.set_ylim(0, 1.02)
    plots.legend_above(times, 1)
    places = np.arange(len(locks))
    marks = {"fairness": "fairness (Jain)", "repeat_share": "same node again"}
    for number, (name, label) in enumerate(marks.items()):
        look = plots.style(3 + number) | {"markersize": 7, "linestyle": "none", "label": label}
        shares.plot(places + 0.2 * number - 0.1, data[name], **look)
    shares.set_xticks(places, locks)
    shares.set_xlim(-0.5, len(locks) - 0.5)
    shares.set_ylim(-0.05, 1.05)
    shares.set_ylabel("index, or share of acquisitions")
    plots.legend_above(shares, 2)
    return figure


def _draw_times(axes: Axes, data: xr.Dataset, number: int, lock: str) -> None:
    look = plots.style(number)
    median = float(data["hand_over_summary"].sel(statistic="p50")) / 1e3
    label = f"{lock}: median {median:,.2f} µs, {float(data['total_rate']) / 1e6:.2g} million acquisitions/s"
    values = np.sort(data["hand_over"].values[np.isfinite(data["hand_over"].values)]) / 1e3
    share = np.arange(1, values.size + 1) / data["hand_over"].size
    axes.step(values, share, where="post", **look, markersize=3, label=label)
    if values.size:
        axes.axvline(median, color=look["color"], linewidth=1, alpha=0.6)
