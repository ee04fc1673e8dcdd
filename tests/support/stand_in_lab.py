"""A stand-in for the labs of a sweep in unit tests: it gives numbers at once, and can be told to fail."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from fame_lab.experiments.sweep.plan import Plan, Point
from fame_lab.probes.common.batches import summary
from fame_lab.results.result import Result
from fame_lab.spec.lab_spec import LabSpec

Hook = Callable[[LabSpec, dict[str, Any]], None]


class StandInLab:
    """The part of a lab that a sweep needs; `started`, `stopped` and `requests` are of all of one kind."""

    started: list[LabSpec]
    stopped: list[LabSpec]
    requests: list[tuple[LabSpec, dict[str, Any]]]
    hook: Hook

    def __init__(self, spec: LabSpec, **_: Any) -> None:
        self.spec = spec

    @classmethod
    def fresh(cls, hook: Hook = lambda *_: None) -> type[StandInLab]:
        """Create a kind of lab that knows nothing of others."""
        words = {"started": [], "stopped": [], "requests": [], "hook": staticmethod(hook)}
        return type("StandIn", (cls,), words)

    def start(self, **_: Any) -> StandInLab:
        self.started.append(self.spec)
        return self

    def stop(self) -> None:
        if self.spec in self.started:
            self.stopped.append(self.spec)

    @staticmethod
    def list() -> list[Any]:
        return []

    def probe(self, _: str, **parameters: Any) -> Result:
        self.requests.append((self.spec, parameters))
        self.hook(self.spec, parameters)
        return a_chase(self.spec, **parameters)


def a_chase(spec: LabSpec, **parameters: Any) -> Result:
    """Return a result as of `chase`, with the number of batches asked for; its latency is nodes * stride."""
    stride, batches = parameters.get("strides", 64), parameters.get("batches", 3)
    names = list(spec.node_names)
    latency = xr.DataArray(
        np.full((1, 2, spec.nodes, batches), float(spec.nodes * stride)),
        dims=("stride", "memory", "node", "batch"),
        coords={"stride": ("stride", [stride], {"units": "B"}), "memory": ["dram", "fam"], "node": names},
        attrs={"units": "ns", "long_name": "latency of a dependent load"},
    )
    dataset = xr.Dataset(
        {
            "latency": latency,
            "latency_summary": summary(latency),
            "preempted": latency > 1e9,
            "operations": (latency.dims[:3], np.full(latency.shape[:3], 7)),
            "seen": ("node", [f"seen by {name}" for name in names]),
        },
        coords={"oversubscribed": False},
        attrs={"mapping": "write-back", "host_cpu_wait": 0.1 * spec.nodes},
    )
    manifest = {
        "spec": spec.to_dict(),
        "accelerator": {"kind": "tcg", "reason": "a stand-in"},
        "time": "2025-03-04T05:06:07+00:00",
    }
    return Result("chase", dataset, manifest)


def measured(plan: Plan) -> dict[Point, Result]:
    """Return all results that such labs would give of a sweep."""
    results = {}
    for point in plan.points:
        result = a_chase(plan.spec_of(point), **plan.parameters_of(point))
        manifest = result.manifest | {"sweep": {"host": "here", "time": "now"}}
        results[point] = dataclasses.replace(result, manifest=manifest)
    return results
