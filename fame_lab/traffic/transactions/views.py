"""Views of a recording's transactions, while it runs and afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from fame_lab.traffic.transactions import aggregation

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from fame_lab.traffic.data import TrafficData

__all__ = ["TransactionViews"]


class TransactionViews(ABC):
    """What a fabric would carry, of a recording with a cache; see :class:`fame_lab.Cache`.

    Each method raises TrafficError if the recording has no cache.
    """

    @abstractmethod
    def traffic(self) -> TrafficData:
        """Return the data so far."""

    def transactions(self) -> xr.DataArray:
        """Add up transactions by kind, initiator and home.

        Returns
        -------
        DataArray of uint64, dims (kind, initiator, home)
            ``fill``, ``fill_ownership``, ``forward`` and ``write_back`` carry a line of 64 bytes each;
            ``upgrade``, ``invalidate`` and ``atomic`` carry none. The initiator of a ``write_back`` is the
            node that had changed the line.

        Raises
        ------
        TrafficError
            If it was recorded without a cache.
        """
        return aggregation.by_initiator(self.traffic(), "transactions")

    def misses(self) -> xr.DataArray:
        """Add up misses by cause, initiator and home.

        Returns
        -------
        DataArray of uint64, dims (cause, initiator, home)
            ``cold``: the node never had the line. ``capacity``: it evicted the line. ``coherence``: another
            node took the line.

        Raises
        ------
        TrafficError
            If it was recorded without a cache.
        """
        return aggregation.by_initiator(self.traffic(), "misses")

    def invalidations(self) -> xr.DataArray:
        """Return how many copies each node's stores took from each other node.

        Returns
        -------
        DataArray of uint64, dims (initiator, victim)

        Raises
        ------
        TrafficError
            If it was recorded without a cache.
        """
        return aggregation.invalidations(self.traffic())

    def false_sharing(self) -> pd.DataFrame:
        """Find the lines that a node lost to stores of bytes that it did not use.

        Returns
        -------
        DataFrame
            A row for each line and victim, the most frequent first. ``offset`` [B], ``home``, ``victim``,
            ``takers`` (nodes), ``false_sharing`` (losses without a common byte), ``sharing`` (losses with
            one), ``victim_bytes`` and ``takers_bytes`` (bytes of the line, such as ``0-7, 16``).

        Raises
        ------
        TrafficError
            If it was recorded without a cache.
        """
        return aggregation.false_sharing(self.traffic())
