"""How often a second one core reads the counters of 40 nodes on 1 GiB of FAM and reduces them to the matrix.

    python tests/benchmarks/glance.py [--nodes 40] [--book 8M] [--looks 100]

Aim: 20 times. The counter files are made here, with every book and one granule in sixteen touched. Prints the
median and the slowest of the looks, checks the matrix against what was written, and, for what it is worth,
how long a whole `Traffic` by granule of 4 KiB takes to read.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from fame_lab import LabSpec
from fame_lab.spec.fam_layout import CONTROL_SIZE
from fame_lab.traffic.snapshot import of_counters
from fame_lab.traffic.trace.counter_layout import DEFAULT_GRANULE, TALLY, CounterLayout
from fame_lab.traffic.trace.counters import Counters
from fame_lab.traffic.trace.dataset import dataset

SIXTEENTH = 16


def make_counters(
    path: Path, layout: CounterLayout, random: np.random.Generator
) -> tuple[Counters, np.ndarray]:
    """Make a node's counters, and give them with the loads and stores of each book."""
    Counters.create(path, layout)
    books = np.zeros(layout.books, TALLY)
    for field in TALLY.names or ():
        books[field] = random.integers(1, 1 << 40, layout.books)
    # Nothing is ever counted in a book that lies in the control area as a whole.
    books[-(-(layout.fam_size - CONTROL_SIZE) // layout.book) :] = 0
    granules = np.zeros(layout.fam_size // DEFAULT_GRANULE, TALLY)
    for field in TALLY.names or ():
        granules[field][::SIXTEENTH] = 1
    with path.open("r+b") as file:
        file.seek(layout.books_at)
        file.write(books.tobytes())
        file.seek(layout.granules_at)
        file.write(granules.tobytes())
    return Counters(path, layout), np.array([books["loads"], books["stores"]])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=40)
    parser.add_argument("--book", default="8M")
    parser.add_argument("--looks", type=int, default=100)
    chosen = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    spec = LabSpec("glance", nodes=chosen.nodes, fam="1G", book=chosen.book)
    layout = CounterLayout(spec.fam_size, int(spec.book), 1)
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        counters, all_books = {}, []
        for number in range(chosen.nodes):
            name = f"node{number + 1:02}"
            counters[name], books = make_counters(Path(directory) / name, layout, random)
            all_books.append(books)
        took = []
        for _ in range(chosen.looks):
            start = time.perf_counter()
            glance = of_counters(counters, spec.books)
            took.append(time.perf_counter() - start)
        assert glance.matrix is not None
        assert (glance.matrix.sum(axis=-1) == np.array(all_books).sum(axis=-1).T).all()
        print(
            f"{chosen.nodes} nodes, {layout.books} books: {1 / statistics.median(took):.0f} times a second, "
            f"{1 / max(took):.0f} at the slowest of {chosen.looks}"
        )
        start = time.perf_counter()
        granules = {name: each.granules(DEFAULT_GRANULE) for name, each in counters.items()}
        dataset(granules, DEFAULT_GRANULE, spec.fam_size)
        print(f"all granules of 4 KiB, one in {SIXTEENTH} touched: {time.perf_counter() - start:.2f} s")
        for each in counters.values():
            each.close()


if __name__ == "__main__":
    main()
