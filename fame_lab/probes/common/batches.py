"""Batches: a distribution of times, its summary, and the batches that were disturbed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import xarray as xr

from fame_lab.errors import ProbeError
from fame_lab.probes.common.program_output import OutputRecord
from fame_lab.results.sample import CONFIDENCE, Sample

__all__ = ["PREEMPTED", "STATISTICS", "TIMER", "Batches", "batch_options", "read_batches", "summary"]

#: Statistics of a distribution. The last two bound the median, by :class:`fame_lab.results.sample.Sample`.
STATISTICS = ("min", "p50", "p90", "p99", "max", "p50_low", "p50_high")

#: The attributes of two variables that nearly every probe has.
PREEMPTED = {"long_name": "something else had the guest's CPU during the batch"}
TIMER = {"units": "ns", "long_name": "what reading the clock costs"}

_LONGEST_NS = 3600 * 10**9
_TIMER_SHARE = 0.01
_QUANTILE = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True)
class Batches:
    """The timed batches of one measurement.

    Parameters
    ----------
    operations : int
        How many operations (loads, bytes, round trips) one batch holds.
    nanoseconds : ndarray
        How long each batch took.
    preempted : ndarray
        Whether something else had the guest's CPU in it, as far as the guest can tell.
    timer_ns : float
        What reading the clock costs there.
    """

    operations: int
    nanoseconds: npt.NDArray[np.float64]
    preempted: npt.NDArray[np.bool_]
    timer_ns: float

    @property
    def ns_per_operation(self) -> npt.NDArray[np.float64]:
        """Nanoseconds that one operation took, batch by batch."""
        return self.nanoseconds / self.operations

    def shared_with(self, other: OutputRecord) -> Batches:
        """Return them flagged also where something else had the CPU of the node that took part in them."""
        theirs = np.array(other.integers("preempted", self.preempted.size, 0, 1), bool)
        return replace(self, preempted=self.preempted | theirs)


def batch_options(batches: int, batch_ms: float) -> list[str]:
    """Return the probe program's options for the two parameters that nearly all probes share."""
    return ["--batches", str(batches), "--batch-us", str(round(batch_ms * 1000))]


def read_batches(fields: OutputRecord, operations: str, count: int) -> Batches:
    """Read the batches from a line of the probe program.

    Parameters
    ----------
    fields : OutputRecord
        The line.
    operations : str
        The member that tells how many operations a batch holds.
    count : int
        How many batches were asked for.

    Raises
    ------
    ProbeError
        If a member is not what it must be, or reading the clock is more than 1 % of the shortest batch.
    """
    batches = Batches(
        fields.integer(operations, 1, 1 << 53),
        np.array(fields.integers("batch_ns", count, 1, _LONGEST_NS), float),
        np.array(fields.integers("preempted", count, 0, 1), bool),
        fields.number("timer_ns", 0, 1e9),
    )
    shortest = batches.nanoseconds.min()
    if batches.timer_ns > _TIMER_SHARE * shortest:
        raise ProbeError(
            f"{fields.node}: reading the clock takes {batches.timer_ns:.0f} ns, over 1 % of a batch of "
            f"{shortest:.0f} ns",
            hint="ask for longer batches with batch_ms",
        )
    return batches


def summary(values: xr.DataArray) -> xr.DataArray:
    """Sum up the dimension ``batch``, of all batches: those that were preempted count too.

    Parameters
    ----------
    values : DataArray
        With the dimension ``batch``, in the order of measuring.

    Returns
    -------
    DataArray
        With a first dimension ``statistic``, see :data:`STATISTICS`, in place of ``batch``.
    """
    rows = values.transpose(..., "batch")
    flat = rows.values.reshape(-1, rows.sizes["batch"])
    quantiles = np.percentile(flat, (0, 50, 90, 99, 100), axis=1)
    bounds = np.array([_bounds(row) for row in flat]).T
    dims: Sequence[str] = [str(name) for name in rows.dims[:-1]]
    return xr.DataArray(
        np.concatenate((quantiles, bounds)).reshape(-1, *rows.shape[:-1]),
        dims=("statistic", *dims),
        coords={"statistic": list(STATISTICS)} | {name: rows[name] for name in dims if name in rows.coords},
        attrs=values.attrs
        | {"interval": f"p50_low to p50_high: {CONFIDENCE:.0%}, for batches that depend on each other"},
    )


def _bounds(row: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the bounds of a median; NaN if nothing was measured, or too little to be 95 % sure."""
    bounds = None if np.isnan(row).any() else Sample(row).bounds(_QUANTILE)
    return bounds or (np.nan, np.nan)
