"""Felt distance: misses wait as a fabric's figures say, dilated, so that programs feel near and far."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fame_lab.core.numeric import check_number
from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError
from fame_lab.traffic.fabric import FabricModel
from fame_lab.traffic.transactions.cache import LINE
from fame_lab.traffic.transactions.layout import FABRIC

__all__ = ["MAX_DILATION", "FeltFabric"]

MAX_DILATION = 100_000


@dataclass(frozen=True)
class FeltFabric:
    """A fabric whose distances are felt, times a dilation.

    A miss waits in QEMU until `dilation` times the model's latency has passed, counted from the access. If
    the line is at home on another node, it first takes the home's outward and then the initiator's inward
    link, each for dilation * 64 * 8 / link_gbps ns, as soon as that link is free. A local miss waits for its
    latency alone. With atomics in memory each of them waits likewise. Upgrades do not wait.

    Parameters
    ----------
    model : FabricModel
    dilation : float
        Times by which everything is slower, from 1 to 100,000. Emulation is too slow for the figures
        themselves.

    Raises
    ------
    SpecError
        If an argument cannot be right.
    """

    model: FabricModel
    dilation: float

    def __post_init__(self) -> None:
        if not isinstance(self.model, FabricModel):
            raise SpecError(
                f"fabric is {quoted(self.model)}", hint="give a FabricModel, such as FabricModel.pond()"
            )
        object.__setattr__(self, "dilation", check_number("dilation", self.dilation, 1, MAX_DILATION))

    def latency(self, nodes: int) -> npt.NDArray[np.float64]:
        """Return the dilated latency [ns] by initiator and home: ndarray of shape (nodes, nodes)."""
        return self.model.latency(nodes) * self.dilation

    def check_felt(self, nodes: int, access_ns: float) -> None:
        """Check that the waits can be felt.

        Parameters
        ----------
        nodes : int
        access_ns : float
            Nanoseconds that an access takes in this emulator as it is.

        Raises
        ------
        SpecError
            If the nearest memory would answer sooner than the emulator does. It names the smallest dilation.
        """
        nearest = float(self.model.latency(nodes).min())
        least = math.ceil(access_ns / nearest)
        if self.dilation < least:
            raise SpecError(
                f"dilation is {self.dilation:g}: {self.dilation:g} x {nearest:g} ns is not felt, as an access"
                f" takes {access_ns:,.0f} ns in this emulator",
                hint=f"give {least} or more",
            )

    def figures(self, nodes: int) -> Any:
        """Return the figures as the plugin reads them: a record of FABRIC, of this moment."""
        figures = np.zeros((), FABRIC)
        figures["start_ns"] = time.monotonic_ns()
        figures["line_ps"] = round(LINE * 8 / float(self.model.link_gbps) * self.dilation * 1000)
        figures["latency_ns"][:nodes, :nodes] = np.ceil(self.latency(nodes))
        return figures

    def describe(self) -> str:
        """Return the label of every number so obtained."""
        source = self.model.source
        figures = source if source.startswith("figures ") else f"figures of {source}"
        return f"felt ×{self.dilation:g} ({figures})"  # noqa: RUF001 - it multiplies

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return {"dilation": self.dilation, "model": self.model.to_dict()}
