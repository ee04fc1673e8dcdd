"""Run `chase` and `bandwidth` beside multichase and STREAM in one guest, in interleaved pairs.

    python tests/benchmarks/peers.py [--multichase PATH] [--stream PATH] [--pairs 7]

Prints the medians of the pairs and of their ratios. Aim: within 5 % wherever both measure the same thing.
The peers are static x86-64 programs, which are not part of this project: google/multichase and
jeffhammond/STREAM, built as their authors do but for what is said here.

multichase: its "simple" chase, through lines of 64 bytes in the guest's own memory, in pages of 4 KiB, random
throughout (its TLB locality is the whole size) or page by page (4 KiB). It prints what half a second took;
the median of those is set against that of our batches.

STREAM: Copy and Triad, at the size that it was compiled for. It tells its best time and the mean, and no
median: best is set against best, and mean against mean. To measure the same thing it has to

- move as many bytes at a time as `--stream-width` says, by plain loops: 8 in scalar code, 16 in SSE2 vectors.
  A compiler that makes a call of memcpy out of Copy has made another program, by AVX for all we know;
- repeat no more than 200 times: each repetition makes its numbers 15 times larger, and from the 261st on they
  are infinite, which is slower to calculate with where arithmetic is emulated;
- have arrays that make 768 KiB together at most, a multiple of 32 elements each. An emulated TLB has 256
  entries, and grows only when the guest switches to another address space. Our probes make it grow first;
  STREAM, which never waits, runs with what there is.

On a host with tenants of their own, working sets beyond the second-level cache vary by more than 5 % from
one run of the same program to the next, which is printed beside each ratio as the peer's own spread.
"""

from __future__ import annotations

import argparse
import functools
import os
import re
import statistics
from collections.abc import Callable
from pathlib import Path

from fame_lab import Lab, LabSpec
from fame_lab.results.plots import size_label

KIB = 1 << 10
CHASED = (16 * KIB, 256 * KIB, 16 * KIB * KIB)
ORDERS = ("random", "page-grouped")
AIM = 0.05


def multichase(lab: Lab, program: Path, pairs: int) -> None:
    node = lab.nodes[0]
    node.put(program, "/tmp/multichase", mode=0o755)

    def peer(size: int, order: str) -> float:
        locality = size if order == "random" else 4 * KIB
        # Four samples, after one that it drops; no memory to flush caches with: a guest is too small for it.
        result = node.run(f"/tmp/multichase -c simple -m {size} -s 64 -T {locality} -F 0 -n 4 -v", timeout=60)
        return statistics.median(map(float, re.findall(r"avg=([0-9.]+)", result.stdout)))

    def ours(size: int, order: str) -> float:
        parameters = {"memories": "dram", "working_sets": [size], "orders": order}
        result = lab.probe("chase", **parameters, batches=50, batch_ms=20.0)
        return float(result.dataset["latency"].median())

    for size in CHASED:
        for order in ORDERS:
            compare(
                f"chase, {size_label(size)}, {order} [ns]",
                pairs,
                functools.partial(listed, ours, size, order),
                functools.partial(listed, peer, size, order),
                ["median"],
            )


def listed(measure: Callable[[int, str], float], size: int, order: str) -> list[float]:
    return [measure(size, order)]


def stream(lab: Lab, program: Path, pairs: int, width: int) -> None:
    node = lab.nodes[0]
    node.put(program, "/tmp/stream", mode=0o755)

    def run() -> str:
        return node.run("/tmp/stream", timeout=120).stdout

    elements = int(re.findall(r"Array size = ([0-9]+) ", run())[0])

    def peer(operation: str, size: int) -> list[float]:
        [(best, mean)] = re.findall(rf"{operation.title()}: +([0-9.]+) +([0-9.]+)", run())
        return [float(best), size / float(mean) / 1e6]

    def ours(operation: str, size: int) -> list[float]:
        parameters = {"memories": "dram", "working_sets": [size], "operations": operation, "width": width}
        bandwidth = lab.probe("bandwidth", **parameters, batches=100).dataset["bandwidth"]
        # What all batches took together, as a mean of times is: they hold as many bytes each.
        return [1000 * float(bandwidth.max()), 1000 / float((1 / bandwidth).mean())]

    for operation, arrays in (("copy", 2), ("triad", 3)):
        size = arrays * 8 * elements
        compare(
            f"bandwidth, {operation}, {size_label(size)} in moves of {width} bytes [MB/s]",
            pairs,
            functools.partial(ours, operation, size),
            functools.partial(peer, operation, size),
            ["best", "mean"],
        )


def compare(
    what: str,
    pairs: int,
    ours: Callable[[], list[float]],
    peer: Callable[[], list[float]],
    statistic: list[str],
) -> None:
    """Measure in pairs, whose members take turns in being first, and print what came of each statistic."""
    rows = []
    for number in range(pairs):
        if number % 2 == 0:
            rows.append((ours(), peer()))
        else:
            theirs = peer()
            rows.append((ours(), theirs))
    print(what)
    for i, name in enumerate(statistic):
        mine, theirs = ([row[who][i] for row in rows] for who in (0, 1))
        median = statistics.median(theirs)
        ratio = statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
        verdict = "within" if abs(ratio - 1) <= AIM else "NOT within"
        print(
            f"  {name:6} {statistics.median(mine):8.2f}, peer {median:8.2f}: {ratio:.3f} x, {verdict} "
            f"{AIM:.0%} ({pairs} pairs; the peer's own runs are {min(theirs) / median:.2f} to "
            f"{max(theirs) / median:.2f} x their median)",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--multichase", type=Path)
    parser.add_argument("--stream", type=Path)
    parser.add_argument("--stream-width", type=int, choices=(8, 16), default=8)
    parser.add_argument("--pairs", type=int, default=7)
    chosen = parser.parse_args()
    if not (chosen.multichase or chosen.stream):
        parser.error("give the path of a peer's program: --multichase, --stream")
    with Lab(LabSpec(f"peers-{os.getpid()}", nodes=1, fam="64M"), progress=False) as lab:
        # One function a peer.
        if chosen.stream:
            stream(lab, chosen.stream, chosen.pairs, chosen.stream_width)
        if chosen.multichase:
            multichase(lab, chosen.multichase, chosen.pairs)


if __name__ == "__main__":
    main()
