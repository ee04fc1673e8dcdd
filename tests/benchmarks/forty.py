"""Forty nodes: started by a plain script, by the kit cold, and from a template.

    PYTHONPATH=tests/support python tests/benchmarks/forty.py [--nodes 40] [--rounds 1] [--only raw,template]

Every start is timed to proved readiness; *warm* leaves the template's making out of it. Processor seconds are
those of the nodes' QEMUs and of this process, which the load of others disturbs less than it does the time.
Aims: cold 1.15 x raw or less, template 0.5 x raw or less; 180 MiB a node; idle under 20 % of one core.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from leftovers import processor_seconds, qemu_processes
from raw_launch import RawLab, resident

from fame_lab import Lab, LabSpec

IDLE_SECONDS = 10.0


@dataclass(frozen=True)
class Run:
    """One start of all nodes, and what they were like then."""

    seconds: float
    processor_seconds: float
    mebibytes: float
    idle_percent: float
    stop_seconds: float
    #: Without the making of a template.
    warm_seconds: float | None = None
    #: Of a command on every node, once connected.
    command_seconds: float | None = None


def kit(nodes: int, start: Literal["cold", "template"]) -> Run:
    spec = LabSpec(f"forty-{start}", nodes=nodes, fam="256M", start=start, accel="tcg")
    lab = Lab(spec, progress=False)
    start_time, ours = time.monotonic(), time.process_time()
    first = [start_time]

    def tell(who: str, stage: str) -> None:
        if stage == "creating" and len(first) == 1:
            first.append(time.monotonic())

    lab.start(tell=tell)
    seconds = time.monotonic() - start_time
    try:
        kinds = {each["kind"] for each in lab.manifest()["start"].values()}
        assert kinds == {start}, lab.manifest()["start"]
        pids = qemu_processes(spec.name)
        cpu_seconds = sum(map(processor_seconds, pids)) + time.process_time() - ours
        command_start = time.monotonic()
        lab.run("true")
        command = time.monotonic() - command_start
        memory, idle = at_rest(pids)
    finally:
        stopping = time.monotonic()
        lab.stop()
    warm = seconds - (first[-1] - start_time) if start == "template" else None
    return Run(seconds, cpu_seconds, memory, idle, time.monotonic() - stopping, warm, command)


def raw(nodes: int) -> Run:
    lab = RawLab(LabSpec("forty-raw", nodes=nodes, fam="256M", accel="tcg"))
    try:
        start_time, ours = time.monotonic(), time.process_time()
        lab.start()
        seconds = time.monotonic() - start_time
        cpu_seconds = sum(map(processor_seconds, lab.pids())) + time.process_time() - ours
        memory, idle = at_rest(lab.pids())
    finally:
        stopping = time.monotonic()
        lab.stop()
    return Run(seconds, cpu_seconds, memory, idle, time.monotonic() - stopping)


def at_rest(pids: list[int]) -> tuple[float, float]:
    """Return MiB a node, and how much of one core all of them take together while idle."""
    memory = statistics.mean(map(resident, pids)) / (1 << 20)
    before, start_time = sum(map(processor_seconds, pids)), time.monotonic()
    time.sleep(IDLE_SECONDS)
    cpu_seconds = sum(map(processor_seconds, pids)) - before
    return memory, 100 * cpu_seconds / (time.monotonic() - start_time)


RUNS: dict[str, Callable[[int], Run]] = {
    "raw": raw,
    "cold": lambda nodes: kit(nodes, "cold"),
    "template": lambda nodes: kit(nodes, "template"),
}


def describe(run: Run) -> str:
    words = [
        f"{run.seconds:6.1f} s ({run.processor_seconds:5.1f} of processor)",
        f"{run.mebibytes:4.0f} MiB a node",
        f"idle {run.idle_percent:4.1f} % of a core",
        f"stopped in {run.stop_seconds:.1f} s",
    ]
    if run.warm_seconds is not None:
        words.insert(1, f"warm {run.warm_seconds:.1f} s")
    if run.command_seconds is not None:
        words.append(f"a command on all in {run.command_seconds:.1f} s")
    return ", ".join(words)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="raw,cold,template")
    chosen = parser.parse_args()
    names = chosen.only.split(",")
    runs: dict[str, list[Run]] = {name: [] for name in names}
    for number in range(chosen.rounds):
        # Whoever comes second finds the page cache warmer: they take turns.
        for name in names if number % 2 == 0 else reversed(names):
            runs[name].append(RUNS[name](chosen.nodes))
            load = os.getloadavg()[0]
            print(f"{chosen.nodes} nodes, {name:8}: {describe(runs[name][-1])}; load {load:.1f}", flush=True)
    if "raw" not in runs:
        return
    for name in names:
        pairs = list(zip(runs[name], runs["raw"], strict=True))
        times, cpu = (
            [getattr(run, field) / getattr(against, field) for run, against in pairs]
            for field in ("seconds", "processor_seconds")
        )
        warm = [run.warm_seconds / against.seconds for run, against in pairs if run.warm_seconds is not None]
        extra = f", warm {statistics.median(warm):.2f} x" if warm else ""
        print(
            f"{name}: {statistics.median(times):.2f} x raw by the clock{extra}, "
            f"{statistics.median(cpu):.2f} x by processor time"
        )


if __name__ == "__main__":
    main()
