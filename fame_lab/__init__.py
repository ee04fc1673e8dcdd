"""Fabric-attached memory, emulated: launch nodes that share one FAM, probe it, watch it.

>>> from fame_lab import Lab, LabSpec
>>> with Lab(LabSpec("demo", nodes=2, fam="256M")) as lab:  # doctest: +SKIP
...     lab.nodes[0].run("lspci -v").stdout
...     lab.probe("chase").plot()
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

from fame_lab.core import moved
from fame_lab.core.version import __version__ as __version__

if TYPE_CHECKING:
    from fame_lab.errors import (
        BootError,
        CommandError,
        DaemonError,
        FameError,
        HostError,
        ImageError,
        LabError,
        NetworkError,
        ProbeError,
        ReportError,
        SharingError,
        SpecError,
        SSHError,
        TrafficError,
    )
    from fame_lab.experiments.compare.comparison import Comparison, compare
    from fame_lab.experiments.recorded import recorded, recorded_names, recorded_traffic
    from fame_lab.experiments.report.report import report
    from fame_lab.experiments.report.rerun import rerun
    from fame_lab.experiments.sweep.sweep import Sweep, sweep
    from fame_lab.guest.c_program import compile_c
    from fame_lab.guest.ssh.run_result import RunResult
    from fame_lab.host.doctor.doctor import doctor
    from fame_lab.host.fam import Fam
    from fame_lab.lab.lab import Lab
    from fame_lab.lab.node import Node
    from fame_lab.lab.node_stats import NodeMonitor, NodeStats
    from fame_lab.notebook.panel import panel
    from fame_lab.results.result import Result
    from fame_lab.spec.lab_spec import LabSpec
    from fame_lab.traffic.fabric import FabricModel
    from fame_lab.traffic.traffic import Traffic
    from fame_lab.traffic.transactions.cache import Cache

moved.install()

__all__ = [
    "BootError",
    "Cache",
    "CommandError",
    "Comparison",
    "DaemonError",
    "FabricModel",
    "Fam",
    "FameError",
    "HostError",
    "ImageError",
    "Lab",
    "LabError",
    "LabSpec",
    "NetworkError",
    "Node",
    "NodeMonitor",
    "NodeStats",
    "ProbeError",
    "ReportError",
    "Result",
    "RunResult",
    "SSHError",
    "SharingError",
    "SpecError",
    "Sweep",
    "Traffic",
    "TrafficError",
    "compare",
    "compile_c",
    "doctor",
    "panel",
    "recorded",
    "recorded_names",
    "recorded_traffic",
    "report",
    "rerun",
    "sweep",
]

_HOMES = {
    "Cache": "fame_lab.traffic.transactions.cache",
    "Comparison": "fame_lab.experiments.compare.comparison",
    "FabricModel": "fame_lab.traffic.fabric",
    "Fam": "fame_lab.host.fam",
    "Lab": "fame_lab.lab.lab",
    "LabSpec": "fame_lab.spec.lab_spec",
    "Node": "fame_lab.lab.node",
    "NodeMonitor": "fame_lab.lab.node_stats",
    "NodeStats": "fame_lab.lab.node_stats",
    "Result": "fame_lab.results.result",
    "RunResult": "fame_lab.guest.ssh.run_result",
    "Sweep": "fame_lab.experiments.sweep.sweep",
    "Traffic": "fame_lab.traffic.traffic",
    "compare": "fame_lab.experiments.compare.comparison",
    "compile_c": "fame_lab.guest.c_program",
    "doctor": "fame_lab.host.doctor.doctor",
    "panel": "fame_lab.notebook.panel",
    "recorded": "fame_lab.experiments.recorded",
    "recorded_names": "fame_lab.experiments.recorded",
    "recorded_traffic": "fame_lab.experiments.recorded",
    "report": "fame_lab.experiments.report.report",
    "rerun": "fame_lab.experiments.report.rerun",
    "sweep": "fame_lab.experiments.sweep.sweep",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: an import that brings paramiko, libvirt and xarray takes over a second.
    if name in ("plots", "probes"):
        return importlib.import_module(f"fame_lab.{name}")
    if name == "ApplianceError":
        warnings.warn("fame_lab.ApplianceError is fame_lab.ImageError now", DeprecationWarning, stacklevel=2)
        name = "ImageError"
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES.get(name, "fame_lab.errors")), name)
    globals()[name] = value
    return value


def load_ipython_extension(shell: Any) -> None:
    """Register ``%%node`` and ``%%nodes``: what ``%load_ext fame_lab`` does."""
    from fame_lab.notebook.magics import FameMagics

    shell.register_magics(FameMagics)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
