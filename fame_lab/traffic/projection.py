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

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fame_lab.traffic.data import TrafficData

__all__ = ["CAVEAT", "FORMULA", "FabricModel", "Projection", "project"]

CAVEAT = "projected: computed from counts, not measured; no caches, no overlap, no contention"
FORMULA = "time = accesses * latency(initiator, home) + bytes * 8 / link_gbps where home is another node"


@dataclass(frozen=True, eq=False, repr=False)
class Projection:
    """A projected time, and the inputs of its computation.

    Parameters
    ----------
    dataset : xarray.Dataset
        ``latency_time`` and ``transfer_time`` [ns] (op, initiator, home), ``time`` [ns] (initiator), their
        sum, and ``latency`` [ns] (initiator, home), the model's.
    manifest : dict
        ``projected`` (the caveat), ``formula``, ``model``, ``traffic`` (the recording's own manifest), and
        ``accesses`` (their number).
    """

    dataset: xr.Dataset
    manifest: dict[str, Any]

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
        latency, transfer = (self.dataset[each].sum(("op", "home")).values for each in _PARTS)
        rows = [
            [str(node), *(f"{time:,.0f}" for time in (a, b, a + b))]
            for node, a, b in zip(self.dataset["initiator"].values, latency, transfer, strict=True)
        ]
        heads = ("initiator", "latency", "transfer", "sum")
        return measurement_html(
            "projection",
            "projection",
            [Table("projected time [ns]", heads, rows)],
            self.manifest,
            caveat=CAVEAT,
            label=label(self.manifest["traffic"]),
            notes=[f"{FORMULA}; {self.manifest['model']['source']}"],
        )


_PARTS = ("latency_time", "transfer_time")


def project(traffic: TrafficData, model: FabricModel) -> Projection:
    """Compute the cost of a trace's accesses on a fabric. It is a pure function of its arguments.

    For operation o, initiator i and home h, with the counts of :meth:`fame_lab.Traffic.matrix`::

        latency_time[o, i, h]  = accesses[o, i, h] * latency[i, h]
        transfer_time[o, i, h] = bytes[o, i, h] * 8 / link_gbps   where h is not i, else 0
        time[i]                = sum of latency_time[:, i, :] and transfer_time[:, i, :]

    with latency[i, h] = local_ns where h = i, else remote_ns; or with hops,
    latency[i, h] = local_ns + hop_ns * (hops[i, h] - hops[i, i]). Bits over gigabits a second are
    nanoseconds.

    It is linear, and so leaves out every effect that is not. Caches would spare most accesses to memory that
    is read again. Accesses under way at once would hide latency. Queues on shared links would add to it.
    ``time`` assumes that every access waits for the one before it. Were all latency hidden,
    ``transfer_time`` alone would remain.

    Parameters
    ----------
    traffic : Traffic
        A trace.
    model : FabricModel

    Returns
    -------
    Projection

    Raises
    ------
    TrafficError
        Of samples, which have no author.
    SpecError
        If the model is of another number of nodes.
    """
    if not isinstance(model, FabricModel):
        raise SpecError(f"model is {quoted(model)}", hint="give a FabricModel, such as FabricModel.pond()")
    accesses, bytes_ = matrix(traffic, "accesses"), matrix(traffic, "bytes")
    nodes = accesses.sizes["initiator"]
    latency = accesses.isel(op=0, drop=True).copy(data=model.latency(nodes))
    remote = ~np.eye(nodes, dtype=bool)
    latency_time = accesses.astype("f8") * latency
    transfer_time = bytes_.astype("f8") * 8 / float(model.link_gbps) * remote
    time = (latency_time + transfer_time).sum(("op", "home"))
    variables = {
        "latency_time": (latency_time, "projected time of the accesses' latency"),
        "transfer_time": (transfer_time, "projected time of their bytes on the link"),
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
        "projected": CAVEAT, "formula": FORMULA, "model": model.to_dict(), "traffic": traffic.manifest,
        "accesses": int(accesses.sum()),
    }  # fmt: skip
    return Projection(dataset, manifest)
