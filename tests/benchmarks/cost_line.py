"""What a start costs, from 2 to 40 nodes, and how straight a line it is.

    PYTHONPATH=tests/support python tests/benchmarks/cost_line.py PICTURE.png [--nodes 2,20,40]
        [--start template]

Draws seconds to proved readiness, and the processor seconds of the nodes' QEMUs and of this process, over the
number of nodes, each with the straight line that fits it best, its slope, and R².
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from forty import RUNS
from matplotlib.figure import Figure


def fit(nodes: list[int], costs: list[float]) -> tuple[float, float, float]:
    """Return the best straight line's slope, what it has at 0, and R²."""
    slope, intercept = np.polyfit(nodes, costs, 1)
    residuals = np.asarray(costs) - (slope * np.asarray(nodes) + intercept)
    return float(slope), float(intercept), float(1 - residuals.var() / np.var(costs))


def draw(start: str, nodes: list[int], measured: dict[str, list[float]]) -> Figure:
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name, costs in measured.items():
        slope, intercept, r2 = fit(nodes, costs)
        (points,) = axes.plot(nodes, costs, "o")
        ends = np.array([0, max(nodes)])
        label = f"{name}: {intercept:.1f} s + {slope:.2f} s a node, R² = {r2:.4f}"
        axes.plot(ends, slope * ends + intercept, color=points.get_color(), label=label)
    axes.set(xlabel="nodes", ylabel="seconds", xlim=(0, None), ylim=(0, None))
    axes.set_title(f"start={start!r}, to proved readiness, on this host (n = 1 each)")
    axes.legend()
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=Path)
    parser.add_argument("--nodes", default="2,5,10,20,30,40")
    parser.add_argument("--start", choices=tuple(RUNS), default="template")
    chosen = parser.parse_args()
    nodes = [int(count) for count in chosen.nodes.split(",")]
    measured: dict[str, list[float]] = {"by the clock": [], "of processor": []}
    for count in nodes:
        run = RUNS[chosen.start](count)
        measured["by the clock"].append(run.seconds)
        measured["of processor"].append(run.processor_seconds)
        print(f"{count} nodes: {run.seconds:.1f} s, {run.processor_seconds:.1f} s of processor", flush=True)
    for name, costs in measured.items():
        slope, intercept, r2 = fit(nodes, costs)
        print(f"{name}: {intercept:.2f} s + {slope:.3f} s a node, R² = {r2:.4f}")
    draw(chosen.start, nodes, measured).savefig(chosen.picture)


if __name__ == "__main__":
    main()
