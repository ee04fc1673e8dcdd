"""Time a look at FAM against numpy, and a scattered FAM against one in one piece, in interleaved pairs.

    python tests/benchmarks/samples.py [--pairs 7] [--directory /dev/shm]

Prints medians of the pairs' ratios. Aims: a look at 1 GiB in one piece takes 2 or less of the time in which
numpy compares and copies the same bytes; 1 GiB in use inside 256 GiB takes that of 1 GiB in one piece.
It takes 5 GiB of memory.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fame_lab.core.sizes import format_size
from fame_lab.host.fam import Fam
from fame_lab.traffic.sampling.extents import find_extents
from fame_lab.traffic.sampling.sampler import Sampler

SHM = Path("/dev/shm")
KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

# All of it is in use before the control area begins.
WINDOW = (0, GIB)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ratio(one: Callable[[], object], other: Callable[[], object], pairs: int) -> str:
    """Run both in turns, and say how many times as long the first took."""
    one(), other()  # whatever is slower the first time
    rows = []
    for number in range(pairs):
        # Who comes second finds the host's caches as the first left them: they take turns.
        if number % 2:
            late = seconds(other)
            rows.append((seconds(one), late))
        else:
            rows.append((seconds(one), seconds(other)))
    median = statistics.median(row[0] / row[1] for row in rows)
    ours, its = (statistics.median(row[column] for row in rows) for column in (0, 1))
    return f"{median:.2f} x (medians {ours:.3f} s, {its:.3f} s; {pairs} pairs)"


def fill(fam: Fam, piece: int, stride: int) -> None:
    """Put 1 GiB in use: a piece at every stride, with no two words alike."""
    content = np.random.default_rng(0).integers(1, 256, MIB, "u1").tobytes()
    with fam.open_file(writable=True) as file:
        for offset in range(0, GIB // piece * stride, stride):
            file.seek(offset)
            file.write(content[:piece])


def against_numpy(directory: Path, pairs: int) -> None:
    fam = Fam.create(directory / "fam", 2 * GIB)
    fill(fam, MIB, MIB)
    view = fam.array("u8", count=GIB // 8, writable=True)
    last = view.copy()

    def numpy() -> None:
        np.array_equal(view, last)
        np.copyto(last, view)

    with Sampler(fam, window=WINDOW) as sampler:
        print(f"a look at 1 GiB takes {ratio(sampler.look, numpy, pairs)} of numpy's compare and copy")

        def look_and_restore() -> float:
            np.add(view, np.uint64(1), out=view)
            return seconds(sampler.look)

        all_changed = statistics.median(look_and_restore() / seconds(numpy) for _ in range(pairs))
        print(f"  and with every page changed {all_changed:.2f} x")


def against_one_piece(directory: Path, pairs: int, piece: int) -> None:
    whole = Fam.create(directory / "whole", 2 * GIB)
    scattered = Fam.create(directory / "scattered", 256 * GIB)
    stride = (256 * GIB - MIB) // (GIB // piece) // (4 * KIB) * (4 * KIB)
    fill(whole, MIB, MIB)
    fill(scattered, piece, stride)
    before = scattered.allocated()
    with (
        Sampler(whole, window=WINDOW) as one,
        Sampler(scattered) as other,
        scattered.open_file() as file,
    ):
        print(
            f"1 GiB in {GIB // piece:,} pieces of {format_size(piece)} inside 256 GiB takes "
            f"{ratio(other.look, one.look, pairs)} of 1 GiB in one piece"
        )
        end = scattered.control.offset
        walk = ratio(lambda: find_extents(file.fileno(), 0, end), other.look, pairs)
        print(f"  finding all of these anew takes {walk} of such a look")
    assert scattered.allocated() == before
    whole.remove()
    scattered.remove()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--directory", type=Path, default=SHM)
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)  # that FAM is larger than the memory is what this is about
    with tempfile.TemporaryDirectory(dir=chosen.directory, prefix="fame_lab-samples-") as directory:
        against_numpy(Path(directory), chosen.pairs)
    for piece in (MIB, 64 * KIB, 4 * KIB):
        with tempfile.TemporaryDirectory(dir=chosen.directory, prefix="fame_lab-samples-") as directory:
            against_one_piece(Path(directory), chosen.pairs, piece)


if __name__ == "__main__":
    main()
