"""Whether programs feel a fabric's distances as its model has them.

    PYTHONPATH=tests/support python tests/benchmarks/felt.py [--rounds 5] [--dilation 40] [--qemu backports]

Three nodes, of which two share an enclosure of The Machine: from node01 the homes are 1, 3 and 5 hops away.
The figures are 100 ns for local memory, 100 ns for a hop, and a link of 64 Gb/s, of which a line takes 8
ns.

1. `chase` from node01 over each home. Aim: differences of latency within 5 % of dilation x model.
2. A stream of lines from another home through a slow link. Aim: within 5 % of the link's bandwidth /
   dilation.
3. Two nodes stream from the third one's home at once. Aim: they share its link evenly within 10 %.

All are medians over rounds, of ratios.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from guest_program import compiled

from fame_lab import Cache, FabricModel, Lab, LabSpec
from fame_lab.core.sizes import MIB
from fame_lab.host.qemu import dotted

HOPS = {1: "node01", 3: "node02", 5: "node03"}
LINES = 4096  # of a stream
LINE = 64


def home(lab: Lab, node: int) -> int:
    """Return an offset at home on a node, away from the first byte."""
    return lab.spec.books.at_home(node).start * int(lab.spec.book) + MIB


def machine(link_gbps: float) -> FabricModel:
    return FabricModel.the_machine(3, enclosure=2, local_ns=100, hop_ns=100, link_gbps=link_gbps)


def chase(lab: Lab, rounds: int, dilation: float) -> None:
    model = machine(64)
    latency = model.latency(3)[0]
    line_ns = LINE * 8 / model.link_gbps
    differences: dict[int, list[float]] = {3: [], 5: []}
    with lab.record(cache=Cache("4K", ways=1), fabric=model, dilation=dilation) as recording:
        for _ in range(rounds):
            felt = {}
            for node, hops in enumerate(HOPS):
                result = lab.probe("chase", memories=["fam"], working_sets=["64K"], offset=home(lab, node))
                felt[hops] = float(result.dataset["latency"].median())
            for hops, times in differences.items():
                times.append(felt[hops] - felt[1])
    for node, hops in enumerate(HOPS):
        if hops > 1:
            asked = dilation * (latency[node] - latency[0] + line_ns)
            ratio = statistics.median(differences[hops]) / asked
            model_in_words = f"dilation x model, {asked:,.0f} ns"
            print(f"chase, {hops} hops against 1: felt {ratio:.3f} x {model_in_words}", flush=True)
    caches = recording.traffic().caches
    assert caches is not None
    done, late = (caches[name].sum().item() for name in ("wait_done", "late_waits"))
    print(f"waits: done {done / caches['wait_asked'].sum().item():.4f} x asked, {late:,} late", flush=True)


def stream(lab: Lab, node: int, offset: int, times: int) -> float:
    """Return the bits a nanosecond at which a node reads lines."""
    walk = f"/tmp/walk load {offset} {LINE} {LINES} {{}}"
    start = time.monotonic_ns()
    lab.nodes[node].run(walk.format(1))
    between = time.monotonic_ns()
    lab.nodes[node].run(walk.format(1 + times))
    spent = time.monotonic_ns() - between - (between - start)
    return LINES * LINE * 8 * times / spent


def streams(lab: Lab, rounds: int, dilation: float) -> None:
    # A line takes 2560 ns of the link, of which latency is 0.4 %.
    model = FabricModel(local_ns=10, remote_ns=10, link_gbps=0.2)
    ratios, shares = [], []
    with lab.record(cache=Cache("4K", ways=1), fabric=model, dilation=dilation):
        for _ in range(rounds):
            ratios.append(stream(lab, 0, home(lab, 2), 2))
            both = lab.each(
                lab.nodes[:2], lambda node: stream(lab, node.index, home(lab, 2) + node.index * MIB, 2)
            )
            shares.append(max(both.values()) / min(both.values()))
    bandwidth = model.link_gbps / dilation
    ratio = statistics.median(ratios) / bandwidth
    print(f"stream: {ratio:.3f} x the link's bandwidth / dilation", flush=True)
    print(f"two streams on one link: {statistics.median(shares):.3f} x each other", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dilation", type=float, default=40)
    parser.add_argument("--qemu", default="auto")
    chosen = parser.parse_args()
    spec = LabSpec("bench-felt", nodes=3, fam="64M", trace=True, accel="tcg", qemu=chosen.qemu)
    with tempfile.TemporaryDirectory() as place, Lab(spec, progress=False) as lab:
        print(f"QEMU {dotted(lab.qemu_version)}", flush=True)
        for node in lab.nodes:
            node.put(compiled("walk", Path(place)), "/tmp/walk", mode=0o755)
        chase(lab, chosen.rounds, chosen.dilation)
        streams(lab, chosen.rounds, chosen.dilation)


if __name__ == "__main__":
    main()
