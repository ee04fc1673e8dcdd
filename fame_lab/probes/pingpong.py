"""Ping-pong: how long until what one node does to a line is seen on another, as half a round trip.

Two nodes take turns: each waits for the other's message and puts its own in. Two nodes' clocks have an
offset that nobody knows, so that only the round trip can be timed; its half is the mean of both ways.

Variants:

``one-line``
    Both load until the message is there, and store theirs in its place.
``two-lines``
    Each has a line of its own to store to, and loads the other's.
``cas``
    On one line, each waits by trying to swap the other's message for its own: core-to-core-latency's
    method (https://github.com/nviennot/core-to-core-latency). The one who waits pulls at the line too.
``fetch-add``
    As ``one-line``, but each adds to the word what makes it its own message (``lock xadd``).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import xarray as xr

from fame_lab.core.jobs.progress import current
from fame_lab.core.sanitize import quoted
from fame_lab.errors import ProbeError, SpecError
from fame_lab.probes.common.arguments import MAPPINGS, check_offset, fam_options, find_nodes
from fame_lab.probes.common.barrier import run_at_barrier, single_record
from fame_lab.probes.common.batches import Batches, batch_options, read_batches, summary
from fame_lab.probes.common.constraints import Choice, Choices, Multiple, Range
from fame_lab.probes.common.declaration import check_arguments
from fame_lab.probes.common.host_contention import host_note, oversubscribed
from fame_lab.probes.common.measurement import Measurement
from fame_lab.probes.common.pair_heat_map import heat_map
from fame_lab.results import plots
from fame_lab.results.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fame_lab.host.target import TargetLab, TargetNode

__all__ = ["VARIANTS", "plot", "run"]

VARIANTS = ("one-line", "two-lines", "cas", "fetch-add")

Pairs = Literal["one", "all"]

#: Bytes of FAM: two lines, 128 bytes apart, for CPUs fetch lines in pairs.
_SIZE = 256


@check_arguments
def run(
    lab: TargetLab,
    *,
    nodes: Sequence[int | str] | None = None,
    pairs: Pairs = "one",
    variants: Annotated[Sequence[str], Choices(*VARIANTS)] = VARIANTS,
    offset: Annotated[int | str, Multiple(128, 0)] = 0,
    batches: Annotated[int, Range(30, 1000)] = 50,
    batch_ms: Annotated[float, Range(1.0, 1000.0, "milliseconds")] = 1.0,
    mapping: Annotated[str, Choice(*MAPPINGS)] = "uc",
    peer_timeout: Annotated[float, Range(1.0, 3600.0, "seconds", whole=True)] = 10.0,
) -> Result:
    """Measure round trips between nodes. Overwrites 256 bytes of FAM from `offset` on.

    Parameters
    ----------
    lab : Lab
    nodes : sequence of int or str, optional
        By number, from 0, or by name. Of one pair: who asks and who answers, by default the first two
        nodes. Of all pairs: who takes part, by default every node.
    pairs : {"one", "all"}
        With ``"all"``, every node plays against every other, one match after the other while the rest
        are idle: N·(N-1) matches a variant, each pair twice, for each of the two to time it once. Both
        measure the same, so how far they differ tells what the clocks and the host's scheduler add. A
        match takes about 0.3 s under TCG: 8 nodes and four variants about a minute.
    variants : sequence of {"one-line", "two-lines", "cas", "fetch-add"}
    offset : int or str
        Where in FAM.
    batches : int
        How many timed batches.
    batch_ms : float
        Milliseconds that a batch lasts at least.
    mapping : {"uc", "wc", "wb"}
        How the CPUs are asked to treat FAM.
    peer_timeout : float
        Whole seconds that a node waits for the other before the probe fails.

    Returns
    -------
    Result
        ``latency`` [ns], half a round trip (variant, batch), ``latency_summary`` (statistic, variant),
        ``preempted`` (variant, batch) on either node, ``operations`` (round trips in a batch), ``timer``;
        the coordinates ``initiator``, ``responder``, and ``oversubscribed``: the host has fewer cores
        than spinning nodes, so that its scheduler was measured. For all pairs, ``initiator`` and
        ``responder`` are dimensions, after ``variant``; the diagonal is NaN, False or 0.

    Raises
    ------
    SpecError
        If a parameter cannot be right.
    ProbeError, CommandError
        If there are no two nodes, one does not come or does not answer, or their counts differ.
    """
    playing = _players(lab, nodes, pairs)
    at = check_offset(lab, offset, _SIZE, _SIZE // 2)
    command = [*fam_options(mapping), "--offset", str(at), *batch_options(batches, batch_ms)]
    matches = [(playing[0], playing[1])] if pairs == "one" else list(itertools.permutations(playing, 2))
    results: dict[tuple[str, str, str], Batches] = {}
    mappings = set()
    current().set_total(2 * len(variants) * len(matches))
    with Measurement(lab, "pingpong") as measurement:
        for variant, (initiator, responder) in itertools.product(variants, matches):
            match, memory_type = _play(lab, initiator, responder, variant, command, batches, peer_timeout)
            results[variant, initiator.name, responder.name] = match
            mappings.add(memory_type)
    names = [node.name for node in playing]
    if pairs == "one":
        dataset = _dataset(results, variants, names[:1], names[1:], batches).isel(initiator=0, responder=0)
    else:
        dataset = _dataset(results, variants, names, names, batches)
    settled = {"nodes": names, "offset": at}
    return measurement.result(dataset, settled, mappings, {"offset": at})


def _players(lab: TargetLab, nodes: Sequence[int | str] | None, pairs: str) -> list[TargetNode]:
    if nodes is not None and len(nodes) < 2:
        raise SpecError(f"nodes is {quoted(nodes)}", hint="give the two that play, or more for pairs='all'")
    if pairs == "one" and nodes is not None and len(nodes) > 2:
        raise SpecError(f"nodes is {quoted(nodes)}", hint="give the two that play, or pairs='all' as well")
    if pairs == "one" and nodes is None:
        nodes = (0, 1)
    return find_nodes(lab, nodes, least=2)


def _play(
    lab: TargetLab,
    initiator: TargetNode,
    responder: TargetNode,
    variant: str,
    options: list[str],
    count: int,
    peer_timeout: float,
) -> tuple[Batches, str]:
    """Play one match; return the initiator's batches, flagged where either was preempted, and FAM's type."""
    shared = ["pingpong", "--variant", variant, *options]
    arguments = {initiator: [*shared, "--role", "ping"], responder: [*shared, "--role", "pong"]}
    # The program's own timeout ends first, and tells more.
    lines = run_at_barrier(lab, arguments, peer_timeout=peer_timeout, timeout=4 * peer_timeout + 60)
    ping, pong = (single_record(lines, node, "pingpong") for node in (initiator, responder))
    for line in (ping, pong):
        line.choice("variant", [variant])
    sent = ping.integer("messages", 1, 1 << 62)
    if (answered := pong.integer("messages", 0, 1 << 62)) != sent:
        raise ProbeError(f"{initiator.name} sent {sent} messages and {responder.name} answered {answered}")
    return read_batches(ping, "round_trips", count).shared_with(pong), ping.mapping()


def _dataset(
    results: Mapping[tuple[str, str, str], Batches],
    variants: Sequence[str],
    initiators: list[str],
    responders: list[str],
    count: int,
) -> xr.Dataset:
    shape = (len(variants), len(initiators), len(responders))
    latency, timer = np.full((*shape, count), np.nan), np.full(shape, np.nan)
    preempted, operations = np.zeros((*shape, count), bool), np.zeros(shape, np.int64)
    for (variant, initiator, responder), batches in results.items():
        cell = (variants.index(variant), initiators.index(initiator), responders.index(responder))
        latency[cell] = batches.ns_per_operation / 2
        preempted[cell] = batches.preempted
        operations[cell] = batches.operations
        timer[cell] = batches.timer_ns
    matches = ("variant", "initiator", "responder")
    coords = {"variant": variants, "initiator": initiators, "responder": responders}
    half_trips = xr.DataArray(
        latency, coords, (*matches, "batch"), attrs={"units": "ns", "long_name": "half a round trip"}
    )
    return xr.Dataset(
        {
            "latency": half_trips,
            "latency_summary": summary(half_trips),
            "preempted": ((*matches, "batch"), preempted, {"long_name": "either node was preempted"}),
            "operations": (matches, operations, {"long_name": "round trips in a batch"}),
            "timer": (matches, timer, {"units": "ns", "long_name": "what reading the clock costs"}),
        },
        coords={"oversubscribed": oversubscribed(2)},
    )


def plot(result: Result) -> Figure:
    """Draw the distribution of half a round trip, a line a variant; of all pairs, a heat map of medians."""
    dataset = result.dataset
    every_pair = "initiator" in dataset.sizes
    played = int(np.isfinite(dataset["latency"]).sum())
    note = (
        f"n = {dataset.sizes['batch']} batches a {'match' if every_pair else 'variant'} "
        f"({int(dataset['preempted'].sum())} of {played} preempted in the guest); "
        f"{'colour' if every_pair else 'vertical line'}: median; FAM mapped {dataset.attrs['mapping']}\n"
        f"{host_note(dataset)}"
    )
    if every_pair:
        return heat_map(
            dataset["latency_summary"].sel(statistic="p50"),
            result.manifest,
            f"Ping-pong between each two of {dataset.sizes['initiator']} nodes, median of half a round trip",
            note,
        )
    return _distributions(result, note)


def _distributions(result: Result, note: str) -> Figure:
    dataset = result.dataset
    figure, (axes,) = plots.figure(
        f"Ping-pong between {dataset['initiator'].item()} and {dataset['responder'].item()}",
        result.manifest,
        note,
    )
    for number, variant in enumerate(str(name) for name in dataset["variant"].values):
        values = np.sort(dataset["latency"].sel(variant=variant).values)
        median = float(dataset["latency_summary"].sel(variant=variant, statistic="p50"))
        look = plots.style(number)
        share = np.arange(1, values.size + 1) / values.size
        label = f"{variant}: median {median:,.0f} ns"
        axes.step(values, share, where="post", **look, markersize=4, label=label)
        axes.axvline(median, color=look["color"], linewidth=1, alpha=0.6)
    axes.set_xscale("log")
    plots.plain_log(axes.xaxis)
    axes.set_xlabel("half a round trip [ns]")
    axes.set_ylabel("share of batches at most this long")
    axes.set_ylim(0, 1.02)
    plots.legend_above(axes, 2)
    return figure
