"""Ping-pong: how long a store on one node takes to be seen on another, as half a round trip.

One node stores a number and waits for the answer, the other waits for the number and answers. Two
nodes' clocks have an offset that nobody knows, so that only the round trip can be timed; its half is
the mean of both ways. Both write to the same line, or each has a line of its own to write to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from fame_lab import plots
from fame_lab.errors import ProbeError, SpecError
from fame_lab.probes.batches import Batches, check_batches, read_batches, summary
from fame_lab.probes.contention import OVERSUBSCRIBED, Contention, contention_note, oversubscribed
from fame_lab.probes.places import check_offset, fam_words, find_node
from fame_lab.probes.together import check_patience, one_line, together
from fame_lab.results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fame_lab.lab import Lab
    from fame_lab.node import Node

__all__ = ["VARIANTS", "plot", "run"]

VARIANTS = ("one-line", "two-lines")

#: Bytes of FAM: two lines, 128 bytes apart, for CPUs fetch lines in pairs.
_SIZE = 256


def run(
    lab: Lab,
    *,
    nodes: Sequence[int | str] = (0, 1),
    variants: Sequence[str] = VARIANTS,
    offset: int | str = 0,
    batches: int = 50,
    batch_ms: float = 1.0,
    mapping: str = "uc",
    patience: float = 10.0,
) -> Result:
    """Measure round trips between two nodes. Overwrites 256 bytes of FAM from `offset` on.

    Parameters
    ----------
    lab : Lab
    nodes : pair of int or str
        Who asks and who answers, by number, from 0, or by name.
    variants : sequence of {"one-line", "two-lines"}
    offset : int or str
        Where in FAM, a multiple of 128.
    batches : int
        How many timed batches, from 30 to 1000.
    batch_ms : float
        Milliseconds that a batch lasts at least, from 1 to 1000.
    mapping : {"uc", "wc", "wb"}
        How the CPUs are asked to treat FAM.
    patience : float
        Whole seconds that a node waits for the other, from 1 to 3600, before the probe fails.

    Returns
    -------
    Result
        ``latency`` [ns], half a round trip (variant, batch), ``latency_summary`` (statistic, variant),
        ``preempted`` (variant, batch) on either node, ``operations`` (round trips in a batch), ``timer``;
        the coordinates ``initiator``, ``responder``, and ``oversubscribed``: the host has fewer cores
        than spinning nodes, so that its scheduler was measured.

    Raises
    ------
    SpecError
        If a parameter cannot be right.
    ProbeError, CommandError
        If there are no two nodes, one does not come or does not answer, or their counts differ.
    """
    asked = check_batches(batches, batch_ms)
    wanted = [variants] if isinstance(variants, str) else list(variants)
    if not wanted or len(set(wanted)) != len(wanted) or not set(wanted) <= set(VARIANTS):
        raise SpecError(f"variants is {variants!r}: give one or both of {', '.join(VARIANTS)}")
    check_patience(patience)
    if isinstance(nodes, str) or len(nodes) != 2:
        raise SpecError(f"nodes is {nodes!r}: give the two that play")
    initiator, responder = (find_node(lab, node) for node in nodes)
    if initiator is responder:
        raise ProbeError(f"nodes is {nodes!r}: {initiator.name} cannot play against itself")
    at = check_offset(lab, offset, _SIZE, _SIZE // 2)
    command = [*fam_words(mapping), "--offset", str(at), *asked]
    with Contention() as contention:
        played = [_play(lab, initiator, responder, variant, command, batches, patience) for variant in wanted]
    found = [batch for batch, _ in played]
    effective = " and ".join(sorted({seen for _, seen in played}))
    dataset = _dataset(wanted, found, initiator, responder)
    dataset.attrs = {"offset": at, "mapping": effective, "host_cpu_wait": contention.share}
    parameters = {
        "nodes": [initiator.name, responder.name], "variants": wanted, "offset": at,
        "mapping": mapping, "batches": batches, "batch_ms": batch_ms, "patience": patience,
    }  # fmt: skip
    told = {"probe": "pingpong", "parameters": parameters, "mapping": effective}
    return Result("pingpong", dataset, lab.manifest() | told)


def _play(
    lab: Lab, initiator: Node, responder: Node, variant: str, asked: list[str], count: int, patience: float
) -> tuple[Batches, str]:
    """Play one match; the batches of the one who asks, flagged where either was preempted."""
    shared = ["pingpong", "--variant", variant, *asked]
    arguments = {initiator: [*shared, "--role", "ping"], responder: [*shared, "--role", "pong"]}
    # The program's own patience ends first, and tells more.
    lines = together(lab, arguments, patience=patience, timeout=4 * patience + 60)
    ping, pong = (one_line(lines, node, "pingpong") for node in (initiator, responder))
    for line in (ping, pong):
        line.choice("variant", [variant])
    sent = ping.integer("messages", 1, 1 << 62)
    if (answered := pong.integer("messages", 0, 1 << 62)) != sent:
        raise ProbeError(f"{initiator.name} sent {sent} messages and {responder.name} answered {answered}")
    measured = read_batches(ping, "round_trips", count)
    theirs = np.array(pong.integers("preempted", count, 0, 1), bool)
    both = measured.preempted | theirs
    return Batches(measured.operations, measured.nanoseconds, both, measured.timer_ns), ping.mapping()


def _dataset(variants: list[str], found: list[Batches], initiator: Node, responder: Node) -> xr.Dataset:
    latency = xr.DataArray(
        np.array([batch.ns_per_operation / 2 for batch in found]),
        dims=("variant", "batch"),
        coords={"variant": variants},
        attrs={"units": "ns", "long_name": "half a round trip"},
    )
    preempted = [batch.preempted for batch in found]
    timer = [batch.timer_ns for batch in found]
    return xr.Dataset(
        {
            "latency": latency,
            "latency_summary": summary(latency),
            "preempted": (("variant", "batch"), preempted, {"long_name": "either node was preempted"}),
            "operations": ("variant", [b.operations for b in found], {"long_name": "round trips in a batch"}),
            "timer": ("variant", timer, {"units": "ns", "long_name": "what reading the clock costs"}),
        },
        coords={
            "initiator": initiator.name,
            "responder": responder.name,
            "oversubscribed": oversubscribed(2),
        },
    )


def plot(result: Result) -> Figure:
    """Draw the distribution of half a round trip, a line a variant."""
    dataset = result.dataset
    preempted = dataset["preempted"]
    count = f"{int(preempted.sum())} of {preempted.size} preempted"
    note = f"n = {dataset.sizes['batch']} batches a variant ({count})"
    if bool(dataset["oversubscribed"]):
        note += f"; {OVERSUBSCRIBED}"
    made, (axes,) = plots.figure(
        f"Ping-pong between {dataset['initiator'].item()} and {dataset['responder'].item()}",
        result.manifest,
        f"{note}; vertical line: median; FAM mapped {dataset.attrs['mapping']}\n"
        f"{contention_note(dataset.attrs['host_cpu_wait'])}",
    )
    for number, variant in enumerate(str(name) for name in dataset["variant"].values):
        values = np.sort(dataset["latency"].sel(variant=variant).values)
        median = float(dataset["latency_summary"].sel(variant=variant, statistic="p50"))
        look = plots.style(number)
        share = np.arange(1, values.size + 1) / values.size
        label = f"{variant}: median {median:,.0f} ns"
        axes.step(
            values,
            share,
            where="post",
            **look,
            markersize=4,
            label=label,
        )
        axes.axvline(median, color=look["color"], linewidth=1, alpha=0.6)
    axes.set_xscale("log")
    plots.plain_log(axes.xaxis)
    axes.set_xlabel("half a round trip [ns]")
    axes.set_ylabel("share of batches at most this long")
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, loc="best")
    return made
