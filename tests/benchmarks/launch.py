"""Time :meth:`fame_lab.Lab.start` against the same nodes started by a plain script, in interleaved pairs.

    PYTHONPATH=tests/support python tests/benchmarks/launch.py [--nodes 2,8] [--pairs 7]

Prints the median of the pairs' ratios (1.00: as quick as raw QEMU), and memory a node likewise.
Aim: 1.15 or less.
"""

from __future__ import annotations

import argparse
import statistics
import time

from leftovers import qemu_processes
from raw_launch import RawLab, resident

from fame_lab import Lab, LabSpec


def kit(spec: LabSpec) -> tuple[float, float]:
    lab = Lab(spec, progress=False)
    start = time.monotonic()
    lab.start()
    seconds = time.monotonic() - start
    memory = statistics.mean(resident(pid) for pid in qemu_processes(spec.name))
    lab.stop()
    return seconds, memory


def raw(spec: LabSpec) -> tuple[float, float]:
    lab = RawLab(spec)
    try:
        start = time.monotonic()
        lab.start()
        seconds = time.monotonic() - start
        memory = statistics.mean(map(resident, lab.pids()))
    finally:
        lab.stop()
    return seconds, memory


def compare(nodes: int, pairs: int) -> None:
    rows = []
    for number in range(pairs):
        runs = {"kit": kit, "raw": raw}
        # Whoever comes second finds the page cache warmer: they take turns.
        order = ["kit", "raw"] if number % 2 == 0 else ["raw", "kit"]
        took = {
            who: runs[who](LabSpec(f"bench-{who}", nodes=nodes, fam="256M", accel="tcg")) for who in order
        }
        rows.append((*took["kit"], *took["raw"]))
        print(f"  pair {number + 1}: kit {rows[-1][0]:.2f} s, raw {rows[-1][2]:.2f} s", flush=True)
    times = statistics.median(row[0] / row[2] for row in rows)
    memory = statistics.median(row[1] / row[3] for row in rows)
    kit_s, raw_s = (statistics.median(row[column] for row in rows) for column in (0, 2))
    mebibytes = statistics.median(row[1] for row in rows) / (1 << 20)
    print(
        f"{nodes} nodes, {pairs} pairs: start takes {times:.2f} x raw QEMU "
        f"(medians {kit_s:.2f} s, {raw_s:.2f} s); memory a node {memory:.2f} x ({mebibytes:.0f} MiB)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", default="2,8")
    parser.add_argument("--pairs", type=int, default=7)
    chosen = parser.parse_args()
    for nodes in map(int, chosen.nodes.split(",")):
        compare(nodes, chosen.pairs)


if __name__ == "__main__":
    main()
