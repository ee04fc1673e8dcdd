"""Traffic, who accesses which part of FAM: counts by QEMU's plugin, or samples of what changes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError, TrafficError

if TYPE_CHECKING:
    from fame_lab.host.target import TargetLab
    from fame_lab.traffic.fabric import FabricModel
    from fame_lab.traffic.recording import Recording
    from fame_lab.traffic.transactions.cache import Cache

__all__ = ["record"]


def record(
    lab: TargetLab,
    *,
    source: str,
    granule: int | str,
    window: tuple[int | str, int | str] | None,
    interval: float,
    order: str | os.PathLike[str] | None,
    cache: Cache | None,
    fabric: FabricModel | None,
    dilation: float | None,
) -> Recording:
    """Create a recording of the requested source; see :meth:`fame_lab.Lab.record`."""
    from fame_lab.traffic.sampling.recording import SampleRecording
    from fame_lab.traffic.trace.recording import TraceRecording

    if source not in ("auto", "trace", "samples"):
        raise SpecError(f"source is {quoted(source)}", hint="give 'auto', 'trace' or 'samples'")
    if source == "trace" and not lab.spec.trace:
        raise TrafficError(
            f"{lab.spec.name} has no trace",
            hint="start it with LabSpec(..., trace=True), or `fame-lab up --trace`, which takes TCG",
        )
    if lab.spec.trace and source != "samples":
        if window is not None:
            raise SpecError(
                f"window is {quoted(window)}: a trace counts all of FAM; select from traffic.heat()"
            )
        return TraceRecording(
            lab,
            granule=granule,
            interval=interval,
            order=order,
            cache=cache,
            fabric=fabric,
            dilation=dilation,
        )
    if cache is not None or fabric is not None:
        raise TrafficError(
            "samples see no accesses, and so no transactions", hint="that takes LabSpec(..., trace=True)"
        )
    if order is not None:
        raise TrafficError("samples see no accesses, and so no order: that takes LabSpec(..., trace=True)")
    return SampleRecording(lab, granule=granule, window=window, interval=interval)
