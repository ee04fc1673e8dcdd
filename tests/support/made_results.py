"""Results and reports made of given numbers, without a lab."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from fame_lab.results.result import Result
from fame_lab.traffic.traffic import Traffic

MANIFEST: dict[str, Any] = {
    "spec": {"name": "made", "nodes": 2},
    "accelerator": {"kind": "tcg", "reason": "asked for"},
    "mapping": "uncached-minus",
    "time": "2025-03-04T05:06:07+00:00",
}


def a_chase(
    seed: int = 0,
    *,
    times: float = 1.0,
    batches: int = 50,
    sets: tuple[int, ...] = (4096, 65536),
    failed: str = "",
    **manifest: Any,
) -> Result:
    """Return latencies of 5 ns from DRAM and 9 ns from FAM, give or take 5 %; FAM's are `times` as long."""
    noise = np.random.default_rng(seed).lognormal(0, 0.05, (2, len(sets), batches))
    latency = np.array([5.0, 9.0 * times]).reshape(2, 1, 1) * noise
    dims = ("memory", "working_set", "batch")
    dataset = xr.Dataset(
        {
            "latency": (dims, latency, {"units": "ns", "long_name": "latency of a dependent load"}),
            "preempted": (dims, noise > 2),
            "operations": (dims[:2], np.full((2, len(sets)), 1000 + seed)),
            "timer": (dims[:2], np.full((2, len(sets)), 30.0 + seed), {"units": "ns"}),
        },
        coords={"memory": ["dram", "fam"], "working_set": list(sets), "oversubscribed": False},
        attrs={"failed": failed, "host_cpu_wait": 0.1 + 0.1 * seed},
    )
    return Result("chase", dataset, MANIFEST | {"probe": "chase", "seed": seed} | manifest)


def a_report(folder: Path, results: Mapping[str, Result | Traffic], **fields: Any) -> Path:
    """Write a report's folder, as far as it is compared."""
    for name, measured in results.items():
        measured.save(folder / "data" / name)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"format": 1, "notebook": "made.ipynb", "sha256": "0" * 64, "parameters": {}, "stopped": ""}
    (folder / "manifest.json").write_text(json.dumps(manifest | fields))
    return folder
