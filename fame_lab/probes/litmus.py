"""Litmus tests: which orders of loads and stores the nodes can see, and whether accesses can be torn.

Each test is a program of one or two instructions a node, played very often in fresh cells of FAM by nodes
that meet in each (in the manner of litmus7: J. Alglave, L. Maranget, S. Sarkar, P. Sewell, Litmus: Running
Tests against Hardware, TACAS 2011). Every outcome is counted. One that x86 forbids makes a failed result;
one that it allows is a finding. What was not observed may still be possible: the result bounds how often.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import xarray as xr

from fame_lab.core.jobs.progress import current
from fame_lab.errors import ProbeError
from fame_lab.probes.common.arguments import check_offset, fam_options, find_nodes
from fame_lab.probes.common.barrier import run_at_barrier, single_record
from fame_lab.probes.common.binomial import describe_share, share_bounds
from fame_lab.probes.common.constraints import Choice, Choices, Multiple, Range
from fame_lab.probes.common.contest import progress_slots
from fame_lab.probes.common.declaration import check_arguments
from fame_lab.probes.common.host_contention import OVERSUBSCRIBED, contention_note, crowding, oversubscribed
from fame_lab.probes.common.litmus_tests import FORBIDDEN, RELAXED, SEQUENTIAL, TESTS, LitmusTest
from fame_lab.probes.common.measurement import Measurement
from fame_lab.results import plots
from fame_lab.results.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fame_lab.host.target import TargetLab, TargetNode

__all__ = ["plot", "run"]

#: Bytes of FAM: 1024 cells of 256 bytes, and what each of four nodes saw in them.
_SIZE = 1024 * (256 + 4)
_UNORDERED = "x86-TSO says nothing of write-combined memory, so that no outcome could be called forbidden"

#: Cells between two waits of the nodes for each other. With a core each, fewer cells bring more collisions.
#: Without, each wait is one for the host's scheduler.
_BURST, _BURST_CROWDED = 8, 256


@check_arguments
def run(
    lab: TargetLab,
    *,
    tests: Annotated[Sequence[str] | None, Choices(*TESTS)] = None,
    iterations: Annotated[int, Range(1000, 10**9)] = 500_000,
    nodes: Sequence[int | str] | None = None,
    offset: Annotated[int | str, Multiple(128, 0)] = 0,
    mapping: Annotated[str, Choice("uc", "wb", why=_UNORDERED)] = "uc",
    seed: Annotated[int, Range(0, 2**64 - 1)] = 1,
    peer_timeout: Annotated[float, Range(1.0, 3600.0, "seconds", whole=True)] = 10.0,
) -> Result:
    """Play litmus tests and count their outcomes. Overwrites 260 KiB of FAM from `offset` on.

    Parameters
    ----------
    lab : Lab
    tests : sequence of str, optional
        Some of SB, SB+mfences, MP, LB, IRIW, torn-8, torn-16, torn-8-split; by default those for which there
        are enough nodes: IRIW takes four, the others two.
    iterations : int
        How often each is played.
    nodes : sequence of int or str, optional
        Who plays, by number, from 0, or by name; by default the lab's first ones.
    offset : int or str
        Where in FAM.
    mapping : {"uc", "wb"}
        How the CPUs are asked to treat FAM. Write-combined memory is not ordered as x86-TSO says.
    seed : int
        Of the short times after which a node begins a cell.
    peer_timeout : float
        Whole seconds that a node waits for another before the probe fails.

    Returns
    -------
    Result
        ``count``, ``share``, ``share_low`` and ``share_high`` (outcome), 95 %, with the coordinates ``of``
        (the test), ``registers`` and ``verdict`` (sequential, relaxed, forbidden), and ``finding`` in words;
        ``iterations``, ``program``, ``burst`` and ``oversubscribed`` (test). ``attrs["left_out"]`` tells for
        which tests there were too few nodes. If a forbidden outcome was observed, it has failed.

    Raises
    ------
    SpecError
        If a parameter cannot be right.
    ProbeError
        If a test was asked for that takes more nodes, a node could not end its part, or the nodes' counts do
        not agree.

    Notes
    -----
    The bounds take the iterations as independent. Collisions come in runs, so that another run's share may
    lie outside.
    """
    at = check_offset(lab, offset, _SIZE, 128)
    words = [*fam_options(mapping), "--offset", str(at), "--seed", str(seed)]
    players = find_nodes(lab, nodes, 2)
    chosen, left_out = _choose(tests, len(players))
    current().set_total(sum(test.nodes for test in chosen))
    with Measurement(lab, "litmus") as measurement:
        runs = [_play(lab, players[: test.nodes], test, iterations, words, peer_timeout) for test in chosen]
    mappings = {memory_type for _, memory_type, _ in runs}
    if any("write-combining" in memory_type for memory_type in mappings):
        effective = " and ".join(sorted(mappings))
        raise ProbeError(
            f"FAM was mapped {effective}, which is not ordered as x86-TSO says", hint="ask for wb"
        )
    dataset = _dataset(chosen, [counts for counts, _, _ in runs], iterations)
    settled = {
        "tests": [test.name for test in chosen], "nodes": [node.name for node in players], "offset": at,
    }  # fmt: skip
    avx = int(all(avx for _, _, avx in runs))
    attrs = {"offset": at, "model": "x86-TSO", "left_out": left_out, "avx": avx}
    return measurement.result(dataset, settled, mappings, attrs, failed=_failure(dataset), seed=seed)


def _choose(tests: Sequence[str] | None, players: int) -> tuple[list[LitmusTest], str]:
    """Return the tests to play, and a note on those left out because they take more nodes."""
    if tests is None:
        without = [test for test in TESTS.values() if test.nodes > players]
        left_out = (f"{test.name} takes {test.nodes} nodes, and there are {players}" for test in without)
        return [test for test in TESTS.values() if test not in without], "; ".join(left_out)
    chosen = [TESTS[name] for name in tests]
    for test in chosen:
        if test.nodes > players:
            raise ProbeError(f"{test.name} takes {test.nodes} nodes, and there are only {players}")
    return chosen, ""


def _burst(test: LitmusTest) -> int:
    return _BURST_CROWDED if oversubscribed(test.nodes) else _BURST


def _play(
    lab: TargetLab,
    players: Sequence[TargetNode],
    test: LitmusTest,
    iterations: int,
    words: list[str],
    peer_timeout: float,
) -> tuple[list[int], str, bool]:
    """Play one test; return the count of each outcome, FAM's memory type, and whether all CPUs have AVX."""
    options = ["--test", test.name, "--iterations", str(iterations), "--burst", str(_burst(test))]
    arguments = {
        node: ["litmus", *options, *words, *place] for node, place in progress_slots(lab, players).items()
    }
    timeout = 4 * peer_timeout + 60 + iterations / 10_000
    lines = run_at_barrier(
        lab, arguments, peer_timeout=peer_timeout, timeout=timeout, unit=f"iterations of {test.name}"
    )
    records = [single_record(lines, node, "litmus") for node in players]
    counted = []
    for role, fields in enumerate(records):
        fields.choice("test", [test.name])
        fields.integer("role", role, role)
        counts = fields.integers("counts", len(test.outcomes), 0, iterations)
        if sum(counts) != iterations:
            raise ProbeError(
                f"{fields.node}: {test.name} was played {iterations} times, with {sum(counts)} outcomes"
            )
        counted.append(counts)
    if any(counts != counted[0] for counts in counted):
        raise ProbeError(f"{test.name}: the nodes counted different outcomes: {counted}")
    return counted[0], records[0].mapping(), all(fields.integer("avx", 0, 1) for fields in records)


def _dataset(tests: list[LitmusTest], counts: list[list[int]], iterations: int) -> xr.Dataset:
    rows = [(test, outcome) for test in tests for outcome in test.outcomes]
    occurrences = np.array([count for each in counts for count in each], "i8")
    bounds = np.array([share_bounds(int(count), iterations) for count in occurrences])
    interval = "95 %: Clopper and Pearson; 3/n if not observed"
    return xr.Dataset(
        {
            "count": ("outcome", occurrences, {"long_name": "how often it was observed"}),
            "share": ("outcome", occurrences / iterations, {"long_name": "share of the iterations"}),
            "share_low": ("outcome", bounds[:, 0], {"long_name": f"the share's lower bound, {interval}"}),
            "share_high": ("outcome", bounds[:, 1], {"long_name": f"the share's upper bound, {interval}"}),
            "finding": (
                "outcome",
                [describe_share(int(count), iterations) for count in occurrences],
                {"long_name": "how often, in words"},
            ),
            "iterations": ("test", [iterations] * len(tests), {"long_name": "how often it was played"}),
            "program": ("test", [test.program for test in tests], {"long_name": "what each node does"}),
            "burst": ("test", [_burst(test) for test in tests], {"long_name": "cells between two waits"}),
            "oversubscribed": xr.concat([crowding(test.nodes) for test in tests], "test"),
        },
        coords={
            "test": [test.name for test in tests],
            "outcome": [f"{test.name}: {outcome}" for test, outcome in rows],
            "of": ("outcome", [test.name for test, _ in rows]),
            "registers": ("outcome", [outcome for _, outcome in rows]),
            "verdict": ("outcome", [test.verdict_on(outcome) for test, outcome in rows]),
        },
    )


def _failure(dataset: xr.Dataset) -> str:
    cases = dataset.isel(outcome=np.flatnonzero((dataset["verdict"] == FORBIDDEN) & (dataset["count"] > 0)))
    pairs = zip(cases["outcome"].values, cases["finding"].values, strict=True)
    findings = "; ".join(f"{outcome} {what}" for outcome, what in pairs)
    return f"x86 forbids what was seen: {findings}" if findings else ""


#: The style of an outcome and its label in the legend, by verdict.
_LOOKS: dict[str, tuple[dict[str, Any], str]] = {
    SEQUENTIAL: ({"color": "0.6", "marker": "o", "markerfacecolor": "none"}, "sequentially consistent"),
    RELAXED: (plots.style(0) | {"marker": "^"}, "relaxed, which x86 allows"),
    FORBIDDEN: (plots.style(1) | {"marker": "X"}, "forbidden"),
}
_UNSEEN: dict[str, Any] = {"marker": "<", "markerfacecolor": "none"}


def plot(result: Result) -> Figure:
    """Draw the share of every outcome, a row a test; of one not observed, the upper bound."""
    data = result.dataset
    tests = [str(name) for name in data["test"].values]
    crowded = [name for name, is_so in zip(tests, data["oversubscribed"].values, strict=True) if is_so]
    note = (
        f"n = {int(data['iterations'].values[0]):,} iterations a test; bar: 95 % interval of a share; "
        f"FAM mapped {data.attrs['mapping']}\n{contention_note(data.attrs['host_cpu_wait'])}"
    )
    if data.attrs["left_out"]:
        note += f"\nleft out: {data.attrs['left_out']}"
    if crowded:
        note += f"\n{', '.join(crowded)} {OVERSUBSCRIBED}"
    figure, (axes,) = plots.figure(
        "Litmus tests: outcomes, and what x86-TSO says of them",
        result.manifest,
        note,
        height=1.9 + 0.45 * len(tests),
        failed=result.failed,
    )
    lowest = float(data["share_high"].where(data["share_high"] > 0).min())
    for row, name in enumerate(tests):
        _draw(axes, data.isel(outcome=np.flatnonzero(data["of"] == name)), row, lowest)
    axes.set_xscale("log")
    axes.set_xlim(lowest / 10, 2)
    axes.set_ylim(len(tests) - 0.5, -0.5)
    programs = [str(program) for program in data["program"].values]
    labels = [f"{name}\n{program}" for name, program in zip(tests, programs, strict=True)]
    axes.set_yticks(range(len(tests)), labels, fontsize=7.5)
    telling = data.isel(outcome=np.flatnonzero(data["verdict"] != SEQUENTIAL))  # one a test, in order
    verdicts = [
        f"{registers}, {verdict}:\n{what}"
        for registers, verdict, what in zip(
            *(telling[name].values for name in ("registers", "verdict", "finding")), strict=True
        )
    ]
    axes.secondary_yaxis("right").set_yticks(range(len(tests)), verdicts, fontsize=7.5)
    axes.set_xlabel("share of the iterations")
    for look, label in _LOOKS.values():
        axes.plot([], [], linestyle="none", **look, label=label)
    axes.plot(
        [], [], linestyle="none", **_UNSEEN, color="0.3", label="not observed: at most this share (95 %)"
    )
    plots.legend_above(axes, 4)
    return figure


def _draw(axes: Axes, outcomes: xr.Dataset, row: int, lowest: float) -> None:
    for number in range(outcomes.sizes["outcome"]):
        one = outcomes.isel(outcome=number)
        verdict = str(one["verdict"].item())
        look, _ = _LOOKS[verdict]
        high = float(one["share_high"])
        if int(one["count"]):
            axes.hlines(row, float(one["share_low"]), high, color=look["color"], linewidth=2)
            axes.plot(float(one["share"]), row, **look, markersize=7)
        elif verdict != SEQUENTIAL:
            axes.plot(high, row, color=look["color"], markersize=7, **_UNSEEN)
            axes.hlines(row, lowest / 10, high, color=look["color"], linewidth=1, linestyle=":")
