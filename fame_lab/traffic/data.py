"""The data of a recording: who accessed which part of FAM."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fame_lab.spec.fam_layout import Books
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.traffic.transactions.cache import Cache

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["TrafficData"]


@dataclass(frozen=True, eq=False, repr=False)
class TrafficData:
    """Accesses to FAM, counted or sampled.

    Parameters
    ----------
    counts : xarray.Dataset
        Of a trace: ``accesses`` and ``bytes`` [B], uint64, over (op, node, granule). ``op`` is load, store.
        ``granule`` is the offset in FAM [B] of a granule's first byte, ascending, and only of granules that
        anyone touched. ``attrs["granule"]`` is their size [B]. A granule may have bytes and no access: an
        access counts where it begins, its bytes where they lie.
        Of samples: ``changed`` (granule), the number of looks that saw it changed, and on kernels with
        soft-dirty pages ``changed_by`` (node, granule).
    timeline : xarray.Dataset
        The increments between looks: ``accesses`` and ``bytes`` over (time, op, node, bin); of samples
        ``changed`` (time, bin). ``time`` [s] since the start is the end of each interval. ``bin`` is the
        offset [B] of bins of ``attrs["bin"]`` bytes. There may be no row.
    spec : dict
        The lab's, from :meth:`fame_lab.LabSpec.to_dict`. It has the nodes, and the homes of books.
    source : {"trace", "samples"}
        Exact counts by author, or changes that the host saw.
    window : tuple of int
        Offset and size of the recorded part of FAM [B].
    manifest : dict
        The numbers' provenance: see :meth:`fame_lab.Lab.manifest`. Values that JSON can hold.
    ended : dict
        Nodes with counts that ended before the recording, and why.
    caches : xarray.Dataset, optional
        Of a recording with a cache: what each node's cache lost and holds, by
        :func:`fame_lab.traffic.transactions.dataset.caches_dataset`. Then ``counts`` has ``transactions``
        (kind, node, granule) and ``misses`` (cause, node, granule), and ``timeline`` their increments.
    """

    counts: xr.Dataset
    timeline: xr.Dataset
    spec: dict[str, Any]
    source: str
    window: tuple[int, int]
    manifest: dict[str, Any]
    ended: dict[str, str] = field(default_factory=dict)
    caches: xr.Dataset | None = None

    @property
    def granule(self) -> int:
        """Bytes of a granule, the unit of place."""
        return int(self.counts.attrs["granule"])

    @property
    def cache(self) -> Cache | None:
        """The cache by which transactions were counted; None if none were."""
        return None if self.caches is None else Cache(**self.caches.attrs)

    @property
    def books(self) -> Books:
        """The books of FAM and their homes."""
        return LabSpec.from_dict(self.spec).books

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the lab's nodes."""
        return LabSpec.from_dict(self.spec).node_names
