"""Atomics: nodes that increment one word of FAM at once, by fetch-and-add and by compare-and-swap.

Each node counts its successes exactly, those of the warm-up included. In the end the word must hold their
sum. If it holds less, updates were lost: the operations are not atomic between nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fame_lab.core.jobs.progress import current
from fame_lab.core.sanitize import quoted
from fame_lab.errors import ProbeError
from fame_lab.probes.common.arguments import MAPPINGS, check_offset, fam_options, find_nodes
from fame_lab.probes.common.batches import summary
from fame_lab.probes.common.constraints import Choice, Choices, Multiple, Range, Several
from fame_lab.probes.common.contest import Contender, ContestSettings, contest, dataset, jain_index
from fame_lab.probes.common.declaration import check_arguments
from fame_lab.probes.common.host_contention import OVERSUBSCRIBED, contention_note, oversubscribed
from fame_lab.probes.common.measurement import Measurement
from fame_lab.results import plots
from fame_lab.results.result import Result
from fame_lab.spec.fam_layout import MAX_NODES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fame_lab.host.target import TargetLab, TargetNode

__all__ = ["OPERATIONS", "plot", "run"]

OPERATIONS = ("fetch-add", "cas")

_COUNTS = {"attempts": "attempts to add 1", "successes": "attempts that succeeded"}
_WORD = 8


@check_arguments
def run(
    lab: TargetLab,
    *,
    operations: Annotated[Sequence[str], Choices(*OPERATIONS)] = OPERATIONS,
    nodes: Sequence[int | str] | None = None,
    contenders: Annotated[int | Sequence[int] | None, Several(Range(1, MAX_NODES))] = None,
    offset: Annotated[int | str, Multiple(_WORD, 0)] = 0,
    mapping: Annotated[str, Choice(*MAPPINGS)] = "uc",
    batches: Annotated[int, Range(30, 1000)] = 50,
    batch_ms: Annotated[float, Range(1.0, 1000.0, "milliseconds")] = 2.0,
    peer_timeout: Annotated[float, Range(1.0, 3600.0, "seconds", whole=True)] = 10.0,
) -> Result:
    """Measure 1 to N nodes that increment one word. Overwrites 8 bytes of FAM at `offset`.

    Parameters
    ----------
    lab : Lab
    operations : sequence of {"fetch-add", "cas"}
        ``lock xadd``; or a load and ``lock cmpxchg``, whose failed attempt tells what to try next.
    nodes : sequence of int or str, optional
        Those that may contend, by number, from 0, or by name; by default all.
    contenders : int or sequence of int, optional
        How many of them do, the first ones; by default the powers of two that there are, and
        all.
    offset : int or str
        Of the word: a locked operation across two lines is not atomic between nodes.
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
        ``rate`` [1/s] of successes (operation, contenders, node, batch) and ``rate_summary``, ``total_rate``
        [1/s] of all nodes in their common windows, ``success_share`` (operation, contenders, node),
        ``fairness``, ``expected``, ``held`` and ``lost`` (operation, contenders), and what
        :func:`fame_lab.probes.common.contest.dataset` gives. If an update was lost, it has failed.

    Raises
    ------
    SpecError
        If a parameter cannot be right.
    ProbeError
        If there are not so many nodes, one could not end its part, or its figures do not agree.
    """
    rules = ContestSettings(batches, batch_ms, peer_timeout)
    words = fam_options(mapping)
    at = check_offset(lab, offset, _WORD, _WORD)
    members = find_nodes(lab, nodes, 1)
    counts = _choose_contenders(contenders, len(members))
    current().set_total(len(operations) * sum(counts))
    with Measurement(lab, "atomics") as measurement:
        runs = [
            _contend(lab, members[:count], operation, at, words, rules)
            for operation in operations
            for count in counts
        ]
    contests = [run for run, _ in runs]
    final = np.array([word for _, word in runs], "u8").reshape(len(operations), len(counts))
    data = dataset(contests, {"operation": operations, "contenders": counts}, members, _COUNTS)
    _derive(data, contests, final)
    mappings = {contender.mapping for run in contests for contender in run}
    settled = {"nodes": [node.name for node in members], "contenders": counts, "offset": at}
    return measurement.result(data, settled, mappings, {"offset": at}, failed=_failure(data))


def _choose_contenders(contenders: int | Sequence[int] | None, available: int) -> list[int]:
    if contenders is None:
        return sorted({1 << power for power in range(available.bit_length())} | {available})
    counts = [contenders] if isinstance(contenders, int) else list(contenders)
    if max(counts) > available:
        raise ProbeError(f"contenders is {quoted(contenders)}: there are only {available} nodes to contend")
    return sorted(counts)


def _contend(
    lab: TargetLab,
    nodes: Sequence[TargetNode],
    operation: str,
    at: int,
    words: list[str],
    rules: ContestSettings,
) -> tuple[list[Contender], int]:
    """Run one contest; return its contenders, and the final value of the word."""
    lab.fam.write(at, bytes(_WORD))
    command = ["atomics", "--op", operation, "--offset", str(at), *words]
    contenders = contest(lab, nodes, command, list(_COUNTS), rules)
    for contender in contenders:
        contender.fields.choice("op", [operation])
        contender.check_part("successes", "attempts")
    return contenders, int.from_bytes(lab.fam.read(at, _WORD), "little")


def _derive(data: xr.Dataset, runs: list[list[Contender]], final: npt.NDArray[np.uint64]) -> None:
    """Add the variables that follow from the counts, and from the final words."""
    dims = ("operation", "contenders")
    fairness = [jain_index([contender.in_window["successes"] for contender in run]) for run in runs]
    expected = [sum(contender.in_all["successes"] for contender in run) for run in runs]

    def add(name: str, values: npt.NDArray[Any], long_name: str) -> None:
        data[name] = (dims, values.reshape(final.shape), {"long_name": long_name})

    rate = 1e9 * data["successes"] / data["elapsed"]
    data["rate"] = rate.assign_attrs(units="1/s", long_name="increments by one node")
    data["rate_summary"] = summary(data["rate"])
    total = (1e9 * data["window_successes"] / data["window"]).sum("node")
    data["total_rate"] = total.assign_attrs(units="1/s", long_name="increments by all nodes")
    attempts, successes = (data[name].sum("batch", min_count=1) for name in ("attempts", "successes"))
    data["success_share"] = (successes / attempts).assign_attrs(long_name="share of attempts that succeeded")
    add(
        "fairness",
        np.array(fairness),
        "Jain's index of the increments in the common windows (Jain, Chiu and Hawe 1984)",
    )
    add("expected", np.array(expected, "i8"), "increments that the nodes made, warm-up included")
    add("held", final, "what the word held in the end")
    # Unsigned differences wrap: as signed ones they are negative where a word holds too much.
    add("lost", (np.array(expected, "u8") - final.ravel()).astype("i8"), "updates lost")
    crowded = [oversubscribed(count) for count in data["contenders"].values]
    data["oversubscribed"] = ("contenders", crowded, {"long_name": OVERSUBSCRIBED})


def _failure(data: xr.Dataset) -> str:
    """Return how many updates each contest lost; empty if none was lost."""
    failures = []
    for operation in data["operation"].values:
        for count in data["contenders"].values:
            cell = data.sel(operation=operation, contenders=count)
            lost, of = int(cell["lost"]), int(cell["expected"])
            by = f"{operation} by {count} node{'s' if count > 1 else ''}"
            if lost > 0:
                failures.append(f"{by}: {lost:,} of {of:,} updates were lost")
            elif lost < 0:
                failures.append(f"{by}: the word holds {-lost:,} more than the {of:,} that were added")
    return "; ".join(failures)


def plot(result: Result) -> Figure:
    """Draw how often the word was incremented, how fairly, and how often an attempt succeeded."""
    data = result.dataset
    preempted, total = int(data["preempted"].sum()), int(data["rate"].notnull().sum())
    note = (
        f"n = {data.sizes['batch']} batches a node ({preempted} of {total} preempted in the guest); "
        f"small marks: each node's median; FAM mapped {data.attrs['mapping']}\n"
        f"lost: {int(data['lost'].sum()):,} of {int(data['expected'].sum()):,} updates; "
        f"{contention_note(data.attrs['host_cpu_wait'])}"
    )
    if bool(data["oversubscribed"].any()):
        least = int(data["contenders"].values[data["oversubscribed"].values].min())
        note += f"\nat {least} nodes and more, {OVERSUBSCRIBED}"
    figure, (rates, shares) = plots.figure(
        "Nodes that increment one word at once",
        result.manifest,
        note,
        columns=2,
        share_y=False,
        height=4.1,
        failed=result.failed,
    )
    for number, operation in enumerate(str(name) for name in data["operation"].values):
        _draw_rates(rates, data.sel(operation=operation), number, operation)
        fair = data["fairness"].sel(operation=operation)
        shares.plot(data["contenders"], fair, **plots.style(number), label=f"fairness (Jain), {operation}")
    if "cas" in data["operation"]:
        share = data["success_share"].sel(operation="cas").mean("node")
        shares.plot(
            data["contenders"],
            share,
            **plots.style(2),
            linestyle=":",
            label="attempts that succeeded, cas",
        )
    for axes in (rates, shares):
        axes.set_xscale("log", base=2)
        axes.set_xticks(data["contenders"].values, [str(count) for count in data["contenders"].values])
        axes.set_xticks([], minor=True)
        axes.set_xlim(data["contenders"].values[0] / 1.3, data["contenders"].values[-1] * 1.3)
        axes.set_xlabel("nodes that contend")
    rates.set_yscale("log")
    plots.plain_log(rates.yaxis)
    rates.set_ylabel("increments [million/s]")
    plots.legend_above(rates, 2)
    shares.set_ylim(0, 1.05)
    shares.set_ylabel("share")
    plots.legend_above(shares, 1)
    return figure


def _draw_rates(axes: Axes, data: xr.Dataset, number: int, operation: str) -> None:
    look = plots.style(number)
    axes.plot(
        data["contenders"], data["total_rate"] / 1e6, **look, markersize=6, label=f"{operation}, all nodes"
    )
    single = data["rate_summary"].sel(statistic="p50")
    for node in single["node"].values:
        # Beside the line, so that two operations' marks do not hide each other.
        beside = data["contenders"] * (1.04 if number else 0.96)
        axes.plot(beside, single.sel(node=node) / 1e6, **look, markersize=3, linestyle="none", alpha=0.6)
