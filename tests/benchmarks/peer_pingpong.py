"""Time our ping-pong by compare-and-swap beside core-to-core-latency's, in interleaved pairs on one VM.

    python tests/benchmarks/peer_pingpong.py --core-to-core PATH [--pairs 41]

PATH is a build of https://github.com/nviennot/core-to-core-latency that runs in the guest (static, x86-64
baseline); neither it nor a way to make it is part of this repository. Both measure half a round trip between
the VM's two CPUs, each side pinned to one, in the VM's ordinary memory: the peer between two threads, ours
between two processes through a file of the guest's tmpfs. Of its samples the peer tells but the mean, so
that it is run once for each; it drops one before.

Prints the median of the pairs' ratios (1.00: the same). Aim: within 5 %, on a host with nothing else to do:
without two cores to itself, either is many times slower.

What is not the same in both: the peer swaps one byte, ours eight, which in C took 1.02 to 1.09 x as long by a
byte here. And under TCG the same loop took 24 or 28 ns in one VM, for a minute each, by nothing but where the
emulator had put its code; the host's cores may be near to one another or not. So give it many pairs.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fame_lab import Lab, LabSpec
from fame_lab.lab.node import Node
from fame_lab.probes.common import program_output
from fame_lab.probes.common.batches import read_batches
from fame_lab.probes.common.host_contention import Contention, contention_note

SAMPLES = 30
ROUND_TRIPS = 20_000  # of the peer's in a sample: a millisecond or more, as in a batch of ours
PEER = "/tmp/core-to-core-latency"
WORDS = "/tmp/pingpong"
PAGES = 1024

Samples = npt.NDArray[np.float64]


def ours(node: Node) -> Samples:
    """Return our batches, in nanoseconds of half a round trip.

    How long the way to a line is depends on where the host has it, so that each call takes another page.
    """
    offset = random.randrange(1, PAGES) * 4096  # noqa: S311
    words = (
        f"fame-probe pingpong --fam {WORDS} --variant cas --offset {offset} "
        f"--barrier 0 --parties 2 --batches {SAMPLES}"
    )
    output = node.run(
        f"dd if=/dev/zero of={WORDS} bs=4096 count={PAGES} 2>/dev/null && "
        f"{{ taskset 1 {words} --role pong >/dev/null & taskset 2 {words} --role ping; wait; }}",
        timeout=120,
    ).stdout
    [line] = program_output.parse_output(output, node.name)
    return (
        read_batches(program_output.OutputRecord(line, node.name), "round_trips", SAMPLES).ns_per_operation
        / 2
    )


def peers(node: Node) -> Samples:
    """Return as many samples of the peer's, in the same unit."""
    one = f"{PEER} --csv --bench 1 --cores 0,1 {ROUND_TRIPS} 1 2>/dev/null"
    output = node.run(f"for i in $(seq {SAMPLES}); do {one} || exit; done", timeout=300).stdout
    times = [float(cell) for cell in output.replace("\n", ",").split(",") if cell.strip()]
    assert len(times) == SAMPLES, output
    return np.array(times)


def compare(node: Node, pairs: int) -> None:
    rows = []
    for number in range(pairs):
        # Whoever comes second may find the host in another mood: they take turns.
        order = (ours, peers) if number % 2 == 0 else (peers, ours)
        with Contention() as contention:
            took = {who: float(np.median(who(node))) for who in order}
        rows.append((took[ours], took[peers]))
        print(
            f"  pair {number + 1}: ours {took[ours]:.1f} ns, theirs {took[peers]:.1f} ns; "
            f"{contention_note(contention.share)}",
            flush=True,
        )
    table = np.array(rows)
    ratios = table[:, 0] / table[:, 1]
    mine, theirs = np.median(table, axis=0)
    print(
        f"{pairs} pairs of {SAMPLES} samples: {np.median(ratios):.3f} x core-to-core-latency "
        f"({ratios.min():.3f} to {ratios.max():.3f}; medians {mine:.1f} ns and {theirs:.1f} ns)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--core-to-core", type=Path, required=True, metavar="PATH")
    parser.add_argument("--pairs", type=int, default=41)
    chosen = parser.parse_args()
    with Lab(LabSpec("bench-pingpong", nodes=1, vcpus=2, fam="16M"), progress=False) as lab:
        [node] = lab.nodes
        node.put(chosen.core_to_core, PEER, mode=0o755)
        compare(node, chosen.pairs)


if __name__ == "__main__":
    main()
