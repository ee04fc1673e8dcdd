"""The manifest of a measurement: all that is needed to judge it, or to repeat it."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fame_lab.host import fam_location
from fame_lab.host.qemu import dotted

if TYPE_CHECKING:
    from fame_lab.lab.context import LabContext

__all__ = ["host", "manifest"]


def manifest(context: LabContext) -> dict[str, Any]:
    """Describe a running lab and its host, in values that JSON can hold.

    Returns
    -------
    dict
        ``spec``; ``accelerator``, what it is and why; ``versions`` of the package, Python, QEMU, libvirt and
        both kernels; ``image``, the digest of what the nodes booted; ``fam``, where it lies and why;
        ``start``, how each node that runs came up and why so; ``host``, its CPU and cores; ``time``, UTC. A
        probe adds its parameters, its seed and the effective mapping type.
    """
    accelerator = context.accelerator
    return {
        "spec": context.spec.to_dict(),
        "accelerator": {"kind": accelerator.kind, "reason": accelerator.reason},
        "versions": {
            "fame_lab": version("fame_lab"),
            "python": platform.python_version(),
            "qemu": dotted(context.qemu.version),
            "libvirt": dotted(context.host.libvirt_version),
            "host_kernel": platform.release(),
            "guest_kernel": context.image.kernel_release,
        },
        "image": context.image.digest,
        "fam": fam_location.describe(context.spec, context.fam, context.directory),
        "start": {
            domain.record.node: {"kind": domain.record.start, "reason": domain.record.start_reason}
            for domain in context.domains()
            if domain.handle is not None
        },
        "host": host(),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def host() -> dict[str, Any]:
    """Describe this host: its CPU, and how many cores this process may use."""
    return {"cpu": _cpu(), "cores": len(os.sched_getaffinity(0))}


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()
