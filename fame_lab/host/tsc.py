"""The frequency of this host's time stamp counter, which is also the guest's clock under TCG."""

from __future__ import annotations

import functools
import json
import platform
import subprocess

from fame_lab.core import native

__all__ = ["khz"]

_DEADLINE = 5.0


@functools.cache
def khz() -> int | None:
    """Measure the TSC against the host's clock, in kHz; None on a host that is not x86-64.

    Linux tells the frequency only to root, and /proc/cpuinfo has the core's. The guest's probe program is
    static and runs here as well.
    """
    if platform.machine() != "x86_64":
        return None
    completed = subprocess.run(
        [str(native.PROBE.binary()), "tsc"], capture_output=True, text=True, timeout=_DEADLINE, check=True
    )
    return round(float(json.loads(completed.stdout)["khz"]))
