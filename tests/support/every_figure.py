"""Every figure that there is, of data made without a virtual machine, with its source and its n."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from made_results import a_chase
from made_traffic import a_cached_trace, a_crowd, a_spec, an_order, some_accesses, some_samples
from matplotlib.figure import Figure
from repeating_node import Answers, repeating
from stand_in_lab import measured

from fame_lab import Cache, FabricModel, Result, Sweep, compare
from fame_lab.experiments.sweep.combine import combined
from fame_lab.experiments.sweep.plan import Plan
from fame_lab.probes import (
    atomics,
    bandwidth,
    chase,
    false_sharing,
    litmus,
    loaded_latency,
    locks,
    pingpong,
    ring,
    timer,
    visibility,
    workloads,
)  # fmt: skip
from fame_lab.testing import LocalLab
from fame_lab.traffic.plots import access_order, side_by_side
from fame_lab.traffic.traffic import Traffic

MANIFEST: dict[str, Any] = {
    "spec": a_spec().to_dict(),
    "accelerator": {"kind": "tcg", "reason": "asked for"},
    "time": "2025-03-04T05:06:07+00:00",
}


class Drawing(NamedTuple):
    """A figure, the source that it has to name, and its n."""

    figure: Figure
    source: str
    n: int


def _probe(
    family: Any, n: int, *, nodes: int = 2, answers: Answers | None = None, **parameters: Any
) -> Callable[[Path], Drawing]:
    def draw(directory: Path) -> Drawing:
        lab: Any = LocalLab.make(directory, nodes=nodes)
        if answers is not None:
            repeating(lab, answers)
        result: Result = family.run(lab, **parameters)
        manifest = MANIFEST | {"spec": a_spec(nodes=nodes).to_dict()}
        return Drawing(dataclasses.replace(result, manifest=result.manifest | manifest).plot(), "emulated", n)

    return draw


def _crowd(nodes: int = 4, seed: int = 0) -> Traffic:
    traffic = a_crowd(60, nodes=nodes, seed=seed)
    return dataclasses.replace(traffic, manifest=MANIFEST | {"spec": traffic.spec})


def _accesses(traffic: Traffic) -> int:
    return int(traffic.counts["accesses"].sum())


def _traced(what: str, nodes: int = 4) -> Callable[[Path], Drawing]:
    def draw(_: Path) -> Drawing:
        crowd = _crowd(nodes)
        n = int(crowd.timeline["accesses"].sum()) if what == "time" else _accesses(crowd)
        return Drawing(crowd.plot(what), "traced", n)

    return draw


def _sampled(what: str, **words: Any) -> Callable[[Path], Drawing]:
    def draw(_: Path) -> Drawing:
        traffic = some_samples({0: 2, 4096: 3, 32 << 20: 1}, **words)
        return Drawing(
            dataclasses.replace(traffic, manifest=MANIFEST | {"accelerator": {"kind": "kvm"}}).plot(what),
            "sampled",
            traffic.timeline.sizes["time"],
        )

    return draw


def _beside(what: str) -> Callable[[Path], Drawing]:
    def draw(_: Path) -> Drawing:
        recordings = {name: _crowd(seed=seed) for seed, name in enumerate(("own", "remote", "interleaved"))}
        return Drawing(
            side_by_side.plot(recordings, what), "traced", sum(map(_accesses, recordings.values()))
        )

    return draw


def _order(directory: Path) -> Drawing:
    logs = {}
    for name, step in (("sequential", 1), ("strided", 17)):
        rows = [
            (at, "node01", at * step % 3000 * 8, "store" if at % 5 == 0 else "load", False)
            for at in range(3000)
        ]
        logs[name] = an_order(directory / name, rows, manifest=MANIFEST)
    return Drawing(access_order.plot(logs, node="node01"), "traced", 6000)


def _compared(n: int, *, sets: int = 2) -> Callable[[Path], Drawing]:
    """Draw two runs of a probe, on hosts with long names."""

    def draw(_: Path) -> Drawing:
        sizes = tuple(4096 * each for each in range(1, sets + 1))
        host = {"cpu": "A very long name of a processor, as they have it " * 3, "cores": 64}
        a = a_chase(0, sets=sizes, batches=n, **MANIFEST)
        b = a_chase(1, sets=sizes, batches=n, times=1.3, **MANIFEST, host=host)
        return Drawing(compare(a, b).plot(), "emulated", n)

    return draw


def _compared_recordings(_: Path) -> Drawing:
    comparison = compare(_crowd(), _crowd(seed=1))
    return Drawing(comparison.plot(), "traced", len(comparison.rows))


def _projected(_: Path) -> Drawing:
    crowd = _crowd()
    return Drawing(crowd.project(FabricModel.pond()).plot(), "projected", _accesses(crowd))


def _cached(nodes: int, **fields: Any) -> Traffic:
    traffic = a_cached_trace(
        some_accesses(600, nodes=nodes), nodes=nodes, cache=Cache("1K", ways=2, **fields)
    )
    return dataclasses.replace(traffic, manifest=MANIFEST | {"spec": traffic.spec})


def _transactions(nodes: int = 4, **fields: Any) -> Callable[[Path], Drawing]:
    def draw(_: Path) -> Drawing:
        traffic = _cached(nodes, **fields)
        assert traffic.caches is not None
        return Drawing(traffic.plot("transactions"), "traced", int(traffic.caches["line_accesses"].sum()))

    return draw


def _projected_transactions(_: Path) -> Drawing:
    traffic = _cached(4)
    figure = traffic.project(FabricModel.pond()).plot()
    return Drawing(figure, "projected", int(traffic.transactions().sum()))


def _swept(_: Path) -> Drawing:
    over = {"stride": [64, 512, 4096], "mapping": ["uc", "wb"]}
    plan = Plan.make("chase", over, repeats=3, seed=0, spec=a_spec(), parameters={})
    # Of each of the two memories and nodes, three batches.
    return Drawing(Sweep(combined(plan, measured(plan), {})).plot(), "emulated", 3 * 2 * 3 * 4 * 3)


# Where an axis ends matters to a figure, and not how many points lie between.
_SETS: dict[str, Any] = {"working_sets": ["4K", "64K", "1M"], "batches": 30}
_FEW: dict[str, Any] = {"batches": 30, "batch_ms": 1}
_WORK: dict[str, Any] = {"size": "64K", "operations": 1 << 17}
_MATCHES: Answers = {}

#: By name; each is given an empty directory.
FIGURES: dict[str, Callable[[Path], Drawing]] = {
    "atomics": _probe(atomics, 30, **_FEW),
    "bandwidth": _probe(bandwidth, 30, **_SETS),
    "bandwidth of one": _probe(bandwidth, 30, operations="read", memories="dram", **_SETS),
    "chase": _probe(chase, 30, orders="random", **_SETS),
    "chase in orders": _probe(chase, 30, orders=chase.ORDERS, **_SETS),
    "chase in strides": _probe(
        chase, 30, strides=chase.STRIDES, working_sets=["4K", "1M"], batches=30
    ),
    "false_sharing": _probe(false_sharing, 30, **_FEW),
    "litmus": _probe(litmus, 3000, nodes=4, iterations=3000),
    "loaded_latency": _probe(loaded_latency, 30, batches=30),
    "locks": _probe(locks, 60, **_FEW),
    "pingpong": _probe(pingpong, 30, answers=_MATCHES, batches=30),
    "pingpong of all": _probe(
        pingpong, 30, nodes=3, answers=_MATCHES, pairs="all", variants=["cas", "one-line"], batches=30
    ),
    "ring": _probe(ring, 30, message_sizes=[8, 256, 4096]),
    "timer": _probe(timer, 30, batches=30, seconds=0.3),
    "visibility": _probe(visibility, 600, batches=30, exchanges=20),
    "workloads": _probe(workloads, 30, **_WORK),
    "workloads of one": _probe(workloads, 30, workloads="gups", **_WORK),
    **{f"traced {what}": _traced(what) for what in ("overview", "matrix", "heat", "time", "sharing")},
    **{f"sampled {what}": _sampled(what) for what in ("overview", "heat", "time")},
    "sampled by node": _sampled("overview", by={0: [1, 1], 4096: [2, 1], 32 << 20: [0, 1]}),
    "matrices beside": _beside("matrix"),
    "heats beside": _beside("heat"),
    "compared": _compared(30),
    "compared at many points": _compared(40, sets=30),
    "compared recordings": _compared_recordings,
    "order": _order,
    "projection": _projected,
    "projection of transactions": _projected_transactions,
    "transactions": _transactions(),
    "transactions without coherence": _transactions(2, coherence="software", atomics="memory"),
    "sweep": _swept,
}  # fmt: skip
