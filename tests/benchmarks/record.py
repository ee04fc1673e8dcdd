"""Make the recorded data that ships with the package anew: real runs, on this host, now.

    .venv/bin/python tests/benchmarks/record.py [NAME ...]

All of it, or what is named. Run it where nothing else does; it takes a few minutes.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

import fame_lab
from fame_lab import Lab, LabSpec
from fame_lab.results.provenance import labelled

#: What to measure, with parameters where the defaults would make the package larger.
FEW: dict[str, Any] = {"batches": 30}
PROBES: dict[str, dict[str, Any]] = {
    "atomics": FEW,
    "bandwidth": FEW,
    "chase": FEW,
    "litmus": {"iterations": 200_000},
    "locks": FEW,
    "pingpong": FEW,
    "ring": FEW,
}
WORK: dict[str, Any] = {
    "workloads": ["sequential", "histogram-shared", "kv"],
    "size": "64K",
    "operations": 1 << 14,
}
TRAFFIC = "traffic"
MOST = 300_000  # bytes of all


def measure(names: list[str], place: Path) -> None:
    """Replace each as it is measured."""
    if probes := [name for name in PROBES if name in names]:
        with Lab(LabSpec(f"recorded-{os.getpid()}", nodes=2, fam="256M")) as lab:
            for name in probes:
                result = lab.probe(name, **PROBES[name])
                manifest = labelled(plain(result.manifest), name)
                dataclasses.replace(result, manifest=manifest).save(place / name)
    if TRAFFIC in names:
        with Lab(LabSpec(f"recorded-{os.getpid()}", nodes=4, fam="256M", trace=True)) as lab:
            with lab.record(interval=1.0) as recording:
                for placement in ("own", "interleaved"):
                    lab.probe("workloads", placement=placement, **WORK)
            traffic = recording.traffic()
            manifest = labelled(plain(traffic.manifest), TRAFFIC)
            spec = traffic.spec | {"name": "recorded"}
            dataclasses.replace(traffic, manifest=manifest, spec=spec).save(place / TRAFFIC)


def plain(manifest: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is nobody's business: the lab's name has a process's number in it."""
    return manifest | {"spec": manifest["spec"] | {"name": "recorded"}}


def main(names: list[str]) -> int:
    known = [*PROBES, TRAFFIC]
    if unknown := sorted(set(names) - set(known)):
        print(f"there is no {unknown[0]!r} to record; there are {', '.join(known)}")
        return 2
    place = Path(fame_lab.__file__).with_name("recorded")
    measure(names or known, place)
    sizes = {each.name: sum(path.stat().st_size for path in each.iterdir()) for each in place.iterdir()}
    for name, size in sorted(sizes.items()):
        print(f"{name:10} {size:8,} bytes")
    total = sum(sizes.values())
    if total > MOST:
        print(f"{total:,} bytes, more than the {MOST:,} that a test allows: measure less")
    return int(total > MOST)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
