"""Time `import fame_lab` against `import matplotlib.pyplot`, in interleaved pairs. Aim: 0.4 or less.

python tests/benchmarks/imports.py [--pairs 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time


def seconds(module: str) -> float:
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=15)
    pairs = parser.parse_args().pairs
    for module in ("matplotlib.pyplot", "fame_lab"):
        seconds(module)  # compiled and in the page cache
    # The interpreter's own start is in both, which makes the ratio larger, not smaller.
    ratios = [seconds("fame_lab") / seconds("matplotlib.pyplot") for _ in range(pairs)]
    print(f"import fame_lab takes {statistics.median(ratios):.2f} x import matplotlib.pyplot ({pairs} pairs)")


if __name__ == "__main__":
    main()
