"""Contention for the host's cores while a probe ran: a guest under TCG cannot see it."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import xarray as xr

__all__ = ["OVERSUBSCRIBED", "Contention", "contention_note", "crowding", "host_note", "oversubscribed"]

_PRESSURE = Path("/proc/pressure/cpu")


class Contention:
    """Measures, between entering and leaving, how much of the time some task of the host waited for a CPU.

    Attributes
    ----------
    share : float
        From 0 to 1, of the time between; NaN until left, or where the kernel keeps no pressure statistics.
        A node that waits for a core is in it, and so is any other program.
    """

    share = float("nan")

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._waited = _waited()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        elapsed = time.monotonic() - self._began
        if elapsed > 0:
            self.share = float(np.clip((_waited() - self._waited) / elapsed, 0, 1))


#: For a figure whose nodes had to take turns on the host's cores.
OVERSUBSCRIBED = "oversubscribed: fewer host cores than nodes, so this measures the host's scheduler"


def oversubscribed(spinning: int) -> bool:
    """Return whether so many nodes, each busy, are more than the host has cores for."""
    return spinning > len(os.sched_getaffinity(0))


def crowding(spinning: int) -> xr.DataArray:
    """Return :func:`oversubscribed` as a labelled variable."""
    return xr.DataArray(oversubscribed(spinning), attrs={"long_name": OVERSUBSCRIBED})


def contention_note(share: float) -> str:
    """Write the share for a figure.

    Examples
    --------
    >>> contention_note(0.394)
    'the host had programs waiting for a CPU 39 % of the time'
    >>> contention_note(float("nan"))
    'whether programs of the host waited for a CPU is unknown'
    """
    if share != share:
        return "whether programs of the host waited for a CPU is unknown"
    return f"the host had programs waiting for a CPU {100 * share:.0f} % of the time"


def host_note(dataset: xr.Dataset) -> str:
    """Write for a figure how busy the host was, and whether the nodes had to take turns on its cores."""
    note = contention_note(dataset.attrs["host_cpu_wait"])
    return f"{note}\n{OVERSUBSCRIBED}" if bool(dataset["oversubscribed"]) else note


def _waited() -> float:
    """Return the seconds in which some task waited, since boot."""
    try:
        match = re.match(r"some .* total=(\d+)$", _PRESSURE.read_text(), re.MULTILINE)
    except OSError:  # not built in, or not enabled
        match = None
    return int(match[1]) / 1e6 if match else float("nan")
