"""What counting transactions adds to a recording.

    PYTHONPATH=tests/support python tests/benchmarks/transactions.py [--rounds 5] [--qemu backports]

Two labs of one node record, one of them with a cache of 1M, and work in turns. The FAM loop reads 16 MiB in
words of 8 bytes, so that each line is a miss; the hot loop reads what the cache holds. What is measured is
the processor time of the node's QEMU. Aim: with the cache at most 1.5 x without, in the FAM loop and the
shell loop. Then how often a second one core reduces the counts of 40 nodes on 1 GiB to the matrix of
transactions. Aim: 20 times.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from guest_program import compiled
from leftovers import processor_seconds

from fame_lab import Cache, Lab, LabSpec
from fame_lab.core.sizes import MIB
from fame_lab.host.qemu import dotted
from fame_lab.traffic.aggregation import by_home
from fame_lab.traffic.transactions.directory import LineDirectory
from fame_lab.traffic.transactions.layout import COUNTS, KINDS, DirectoryLayout

WORK = {
    "FAM loop": "/tmp/walk load 0 8 2097152 20",
    "hot loop": "/tmp/walk load 0 8 65536 600",
    "store loop": "/tmp/walk store 0 8 2097152 20",
    "shell loop": "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done",
}


def seconds(lab: Lab, command: str) -> float:
    """Run a command; return the seconds of processor time that the node's QEMU took for it."""
    pid = lab.nodes[0].domain.pid()
    assert pid is not None
    start = processor_seconds(pid)
    lab.nodes[0].run(command)
    return processor_seconds(pid) - start


def cost(rounds: int, qemu: str) -> None:
    with contextlib.ExitStack() as stack:
        program = compiled("walk", Path(stack.enter_context(tempfile.TemporaryDirectory())))
        labs = {}
        for state in ("without", "with"):
            spec = LabSpec(f"bench-{state}", nodes=1, fam="64M", trace=True, accel="tcg", qemu=qemu)
            labs[state] = stack.enter_context(Lab(spec, progress=False))
            labs[state].nodes[0].put(program, "/tmp/walk", mode=0o755)
        print(f"QEMU {dotted(labs['with'].qemu_version)}", flush=True)
        stack.enter_context(labs["without"].record())
        stack.enter_context(labs["with"].record(cache=Cache("1M")))
        times: dict[str, list[tuple[float, float]]] = {what: [] for what in WORK}
        for number in range(rounds + 1):
            for what, command in WORK.items():
                order = ("without", "with") if number % 2 else ("with", "without")
                taken = {state: seconds(labs[state], command) for state in order}
                if number:  # the first round translates
                    times[what].append((taken["without"], taken["with"]))
        for what, pairs in times.items():
            ratio = statistics.median(b / a for a, b in pairs)
            without, with_cache = (statistics.median(each) for each in zip(*pairs, strict=True))
            print(
                f"{what}: with a cache {ratio:.2f} x without ({with_cache:.2f} s, {without:.2f} s)",
                flush=True,
            )


def looks(count: int) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    layout = DirectoryLayout(1024 * MIB, 8 * MIB, 40)
    random = np.random.default_rng(0)
    homes = np.arange(layout.books) * layout.nodes // layout.books
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        path = Path(place, "lines")
        LineDirectory.create(path, layout)
        expected = np.zeros((len(KINDS), layout.nodes, layout.nodes), np.uint64)
        with path.open("r+b") as file:
            for node in range(layout.nodes):
                books = np.zeros(layout.books, COUNTS)
                for kind, name in enumerate(KINDS):
                    books[name] = random.integers(1, 1 << 40, layout.books)
                    np.add.at(expected[kind, node], homes, books[name])
                file.seek(layout.node_at(node) + 4096)
                file.write(books.tobytes())
        directory = LineDirectory(path, layout)
        taken = []
        for _ in range(count):
            start = time.perf_counter()
            counts = np.array([directory.books(node) for node in range(layout.nodes)])
            matrix = by_home(np.stack([counts[kind] for kind in KINDS]), homes, layout.nodes)
            taken.append(time.perf_counter() - start)
        assert (matrix == expected).all()
        directory.close()
    print(
        f"matrix of 40 nodes on 1 GiB: {1 / statistics.median(taken):.0f} times a second (median), "
        f"{1 / max(taken):.0f} (slowest)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--qemu", default="auto")
    chosen = parser.parse_args()
    cost(chosen.rounds, chosen.qemu)
    looks(100)


if __name__ == "__main__":
    main()
