"""A sweep's plan with little to write."""

from typing import Any

from fame_lab.experiments.sweep.plan import Plan
from fame_lab.spec.lab_spec import LabSpec


def a_plan(over: dict[str, Any] | None = None, probe: str = "chase", **words: Any) -> Plan:
    """Return a plan of `probe` over `over`, or over two nodes and three strides."""
    arguments: dict[str, Any] = {
        "repeats": 3,
        "seed": 0,
        "spec": LabSpec("mine", fam="1M"),
        "parameters": {},
    } | words
    return Plan.make(probe, over or {"nodes": [1, 2], "stride": [64, 128, 256]}, **arguments)
