"""The cost of counted accesses on a fabric: computed, never measured, and labelled so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from fame_lab.core import above
from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError
from fame_lab.results.measurement_html import Table, measurement_html
from fame_lab.results.provenance import label
from fame_lab.traffic.aggregation import matrix
from fame_lab.traffic.fabric import FabricModel
from fame_lab.traffic.transactions.aggregation import CARRYING, by_initiator
from fame_lab.traffic.transactions.cache import LINE, Cache

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fame_lab.traffic.data import TrafficData

__all__ = ["CAVEAT", "FORMULA", "FabricModel", "Projection", "project"]

CAVEAT = "projected: computed from counts, not measured; no caches, no overlap, no contention: an upper bound"
FORMULA = "time = accesses * latency(initiator, home) + bytes * 8 / link_gbps where home is another node"
CACHED_CAVEAT = "projected: computed from counts, not measured; no overlap, no contention"
CACHED_FORMULA = (
    "time = (fills + forwards + upgrades + atomics) * latency(initiator, home)\n"
    "+ (fills + forwards + write-backs) * 64 B * 8 / link_gbps where home is another node"
)
#: Transactions that an access waits for.
_WAITED = ("fill", "fill_ownership", "forward", "upgrade", "atomic")


@dataclass(frozen=True, eq=False, repr=False)
class Projection:
    """A projected time, and the inputs of its computation.

    Parameters
    ----------
    dataset : xarray.Dataset
        ``latency_time`` and ``transfer_time`` [ns] (op, initiator, home), with kind in the place of op if
        transactions are charged. ``time`` [ns] (initiator) is their sum, and ``latency`` [ns]
        (initiator, home) the model's.
    manifest : dict
        ``projected`` (the caveat), ``formula``, ``model``, ``traffic`` (the recording's own manifest), ``of``
        ("accesses" or "transactions"), and by that name their number. Of transactions also ``cache``, its
        fields.
    """

    dataset: xr.Dataset
    manifest: dict[str, Any]

    @property
    def cache(self) -> Cache | None:
        """The cache behind the transactions; None of accesses."""
        fields = self.manifest.get("cache")
        return Cache(**fields) if fields else None

    def plot(self) -> Figure:
        """Draw the projection, by initiator."""
        figure: Figure = above.load("projection_plot").plot(self)
        return figure

    def __repr__(self) -> str:
        most = float(self.dataset["time"].max())
        source = self.manifest["model"]["source"]
        return (
            f"<Projection ({source}): {self.dataset.sizes['initiator']} initiators, at most {most:,.0f} ns>"
        )

    def _repr_html_(self) -> str:
        parts = (self.dataset[each] for each in _PARTS)
        latency, transfer = (each.sum({*each.dims} - {"initiator"}).values for each in parts)
        rows = [
            [str(node), *(f"{time:,.0f}" for time in (a, b, a + b))]
            for node, a, b in zip(self.dataset["initiator"].values, latency, transfer, strict=True)
        ]
        heads = ("initiator", "latency", "transfer", "sum")
        of = self.manifest.get("of", "accesses")
        charged = f"n = {self.manifest[of]:,} {of}" + (f"; {self.cache.describe()}" if self.cache else "")
        return measurement_html(
            "projection",
            "projection",
            [Table("projected time [ns]", heads, rows)],
            self.manifest,
            caveat=self.manifest["projected"],
            label=label(self.manifest["traffic"]),
            notes=[f"{charged}; {self.manifest['formula']}; {self.manifest['model']['source']}"],
        )


_PARTS = ("latency_time", "transfer_time")


def project(traffic: TrafficData, model: FabricModel, of: str = "auto") -> Projection:
    """Compute the cost of a trace on a fabric. It is a pure function of its arguments.

    Of accesses, for operation o, initiator i and home h, with the counts of :meth:`fame_lab.Traffic.matrix`::

        latency_time[o, i, h]  = accesses[o, i, h] * latency[i, h]
        transfer_time[o, i, h] = bytes[o, i, h] * 8 / link_gbps   where h is not i, else 0
        time[i]                = sum of latency_time[:, i, :] and transfer_time[:, i, :]

    with latency[i, h] = local_ns where h = i, else remote_ns; or with hops,
    latency[i, h] = local_ns + hop_ns * (hops[i, h] - hops[i, i]). Bits over gigabits a second are
    nanoseconds. Nothing is cached then, so its latency is an upper bound.

    Of transactions, with the counts of :meth:`fame_lab.Traffic.transactions`, kind k takes the place of o::

        latency_time[k, i, h]  = transactions[k, i, h] * latency[i, h]
        transfer_time[k, i, h] = transactions[k, i, h] * 64 * 8 / link_gbps   where h is not i, else 0

    Latency is charged for each fill, fill_ownership, forward, upgrade and atomic; transfer for each fill,
    fill_ownership, forward and write_back. A write-back is posted: nobody waits for it. Invalidations go on
    while their fill or upgrade is under way. Of a forward the way from the home to the owner and back is not
    charged, as the counts do not name the owner.

    It is linear, and so leaves out every effect that is not. Accesses under way at once would hide latency.
    Queues on shared links would add to it. ``time`` assumes that everything waits for what came before it.
    Were all latency hidden, ``transfer_time`` alone would remain.

    Parameters
    ----------
    traffic : Traffic
        A trace.
    model : FabricModel
    of : {"auto", "transactions", "accesses"}
        What is charged. ``auto`` is transactions where they were recorded.

    Returns
    -------
    Projection

    Raises
    ------
    TrafficError
        Of samples, which have no author, or if transactions are asked for and there are none.
    SpecError
        If the model is of another number of nodes, or `of` is none of these.
    """
    if not isinstance(model, FabricModel):
        raise SpecError(f"model is {quoted(model)}", hint="give a FabricModel, such as FabricModel.pond()")
    if of not in ("auto", "transactions", "accesses"):
        raise SpecError(f"of is {quoted(of)}", hint="give 'auto', 'transactions' or 'accesses'")
    if of == "auto":
        of = "accesses" if traffic.caches is None else "transactions"
    if of == "transactions":
        counts = by_initiator(traffic, "transactions")
        kinds = counts["kind"]
        waited, moved = counts * kinds.isin(_WAITED), counts * kinds.isin(CARRYING) * LINE
        caveat, formula = CACHED_CAVEAT, CACHED_FORMULA
    else:
        counts = waited = matrix(traffic, "accesses")
        moved = matrix(traffic, "bytes")
        caveat, formula = CAVEAT, FORMULA
    nodes = waited.sizes["initiator"]
    latency = waited.isel({waited.dims[0]: 0}, drop=True).copy(data=model.latency(nodes))
    remote = ~np.eye(nodes, dtype=bool)
    latency_time = waited.astype("f8") * latency
    transfer_time = moved.astype("f8") * 8 / float(model.link_gbps) * remote
    time = (latency_time + transfer_time).sum((waited.dims[0], "home"))
    variables = {
        "latency_time": (latency_time, "projected time of latency"),
        "transfer_time": (transfer_time, "projected time of bytes on the link"),
        "time": (time, "projected time, nothing overlapping"),
        "latency": (latency, "the model's latency of an access"),
    }
    dataset = xr.Dataset(
        {
            name: values.drop_attrs().assign_attrs(units="ns", long_name=description)
            for name, (values, description) in variables.items()
        }
    )
    manifest = {
        "projected": caveat, "formula": formula, "model": model.to_dict(), "traffic": traffic.manifest,
        "of": of, of: int(counts.sum()),
    }  # fmt: skip
    if of == "transactions" and (cache := traffic.cache) is not None:
        manifest["cache"] = cache.to_dict()
    return Projection(dataset, manifest)
