"""Views of a recording, while it runs and afterwards: matrix, heat, sharing, saving."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fame_lab.traffic import aggregation, sharing, storage
from fame_lab.traffic.transactions.views import TransactionViews

if TYPE_CHECKING:
    import os

    import xarray as xr
    from matplotlib.figure import Figure

    from fame_lab.traffic.projection import FabricModel, Projection

__all__ = ["TrafficViews"]


class TrafficViews(TransactionViews):
    """Views of a recording. All are computed from :meth:`traffic`, the data so far."""

    def matrix(self, what: str = "accesses") -> xr.DataArray:
        """Add up accesses by initiator and home. Off its diagonal lies the cross-node traffic.

        Parameters
        ----------
        what : {"accesses", "bytes"}

        Returns
        -------
        DataArray of uint64, dims (op, initiator, home)
            Exact sums.

        Raises
        ------
        TrafficError
            Of samples, which have no author.
        """
        return aggregation.matrix(self.traffic(), what)

    def remote_share(self, what: str = "accesses") -> xr.Dataset:
        """Return the share of accesses that went to another node's memory.

        Parameters
        ----------
        what : {"accesses", "bytes"}

        Returns
        -------
        Dataset
            ``overall``, ``by_op`` (op), ``by_initiator`` (initiator) and ``share`` (op, initiator), from 0
            to 1; NaN where nothing was accessed.

        Raises
        ------
        TrafficError
            Of samples, which have no author.
        """
        return aggregation.remote_share(self.traffic(), what)

    def heat(self, what: str = "accesses") -> xr.DataArray:
        """Return the counts over FAM's addresses, for each node.

        Parameters
        ----------
        what : {"accesses", "bytes", "transactions", "misses"}
            With granules of 64 bytes, transactions are those of each line.

        Returns
        -------
        DataArray of uint64, dims (op, node, granule), or kind or cause in the place of op

        Raises
        ------
        TrafficError
            Of samples: use :meth:`changed`. Of a recording without a cache, if it is asked for transactions.
        """
        return aggregation.heat(self.traffic(), what)

    def changed(self) -> xr.DataArray:
        """Return the changes that samples saw, over FAM's addresses.

        Returns
        -------
        DataArray of unsigned int, dims (granule)
            Looks that saw it differ from the look before.

        Raises
        ------
        TrafficError
            Of a trace: use :meth:`heat`.
        """
        return aggregation.changed(self.traffic())

    def changed_by(self) -> xr.DataArray:
        """Return the changes that samples saw, by the node that stored, where the kernel keeps it.

        Returns
        -------
        DataArray of unsigned int, dims (node, granule)

        Raises
        ------
        TrafficError
            Of a trace, or where the host's kernel has no soft-dirty pages.
        """
        return aggregation.changed_by(self.traffic())

    def over_time(self, what: str | None = None) -> xr.DataArray:
        """Return the increments from look to look.

        Parameters
        ----------
        what : {"accesses", "bytes", "transactions", "misses", "changed"}, optional
            By default ``"accesses"`` of a trace, and ``"changed"`` of samples.

        Returns
        -------
        DataArray, dims (time, op, node, bin), kind or cause in the place of op, or (time, bin) of samples
            ``time`` [s] is the end of each interval; ``bin`` an offset in FAM [B].

        Raises
        ------
        TrafficError
            If samples are asked for accesses, or a recording without a cache for transactions.
        """
        return aggregation.over_time(self.traffic(), what)

    def sharing(self) -> xr.Dataset:
        """Sort granules by the nodes that touch them.

        Returns
        -------
        Dataset
            ``kind_of`` (granule): ``private`` where one node touches it, ``read-shared`` where several load
            and nobody stores. It is ``write-shared`` where several touch it and at least one stores: there
            false sharing shows. ``granules`` (kind), ``accesses`` and ``bytes`` (kind, op) are totals.

        Raises
        ------
        TrafficError
            Of samples, which have no author.
        """
        return sharing.sharing(self.traffic())

    def hottest(self, n: int = 20) -> xr.Dataset:
        """Find the granules with the most accesses, and the nodes that share them.

        Parameters
        ----------
        n : int
            The most granules to return.

        Returns
        -------
        Dataset, dims granule, the hottest first, and node
            ``accesses``, ``home``, ``sharing`` (see :meth:`sharing`), and by node ``loads`` and ``stores``.

        Raises
        ------
        TrafficError
            Of samples, which have no author.
        """
        return sharing.hottest(self.traffic(), n)

    def project(
        self, model: FabricModel, of: Literal["auto", "transactions", "accesses"] = "auto"
    ) -> Projection:
        """Compute the cost of these transactions or accesses on a fabric.

        Parameters
        ----------
        model : FabricModel
        of : {"auto", "transactions", "accesses"}
            By default transactions, where a cache was recorded. Accesses are charged as if nothing were
            cached.

        Returns
        -------
        Projection
            By :func:`fame_lab.traffic.projection.project`.

        Raises
        ------
        TrafficError
            If they are samples, which have no author, or if there are no transactions.
        SpecError
            If the model is of another number of nodes.
        """
        from fame_lab.traffic.projection import project

        return project(self.traffic(), model, of)

    def plot(self, what: str = "overview") -> Figure:
        """Draw a figure of the recording.

        Parameters
        ----------
        what : {"overview", "matrix", "heat", "time", "sharing", "transactions"}
            ``overview`` is matrix and heat in one; ``transactions`` is of a recording with a cache.

        Returns
        -------
        Figure

        Raises
        ------
        TrafficError
            If samples are asked for a matrix or for sharing, or a recording without a cache for transactions.
        """
        from fame_lab.traffic.plots import overview

        return overview.plot(self.traffic(), what)

    def save(self, directory: str | os.PathLike[str]) -> Path:
        """Save counts and timeline as NetCDF and the rest as JSON; :meth:`fame_lab.Traffic.load` reads it.

        Parameters
        ----------
        directory : path
            It is created if need be. One that holds earlier traffic is replaced as a whole.

        Returns
        -------
        Path
            The directory.

        Raises
        ------
        SpecError
            If it holds something else.
        HostError
            If it cannot be written. Earlier traffic stays then.
        """
        return storage.save(self.traffic(), directory)

    def to_parquet(
        self,
        path: str | os.PathLike[str],
        what: Literal["accesses", "transactions", "misses"] = "accesses",
    ) -> Path:
        """Write counts as one long table: a row for each node, op and granule that has any.

        Parameters
        ----------
        path : path
            A file of that name is replaced.
        what : {"accesses", "transactions", "misses"}
            Which counts. A table of transactions has kinds, and one of misses causes, in the place of ops.

        Returns
        -------
        Path
            The file. The columns of accesses are node, op, offset [B], home, accesses and bytes [B]; of
            transactions node, kind, offset [B], home and transactions; of misses node, cause, offset [B],
            home and misses; of samples offset [B], home and changed [looks]. Units, source, manifest and
            cache are in the schema's metadata.

        Raises
        ------
        TrafficError
            If a recording without a cache is asked for transactions or misses.
        SpecError
            If `what` is none of these.
        HostError
            If it cannot be written. An earlier file stays then.
        """
        from fame_lab.traffic.parquet import write

        return write(self.traffic(), path, what)
