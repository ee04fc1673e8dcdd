"""What a recording counted: who touched which part of FAM, as data alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fame_lab.core.sizes import format_size
from fame_lab.errors import TrafficError
from fame_lab.results.provenance import label
from fame_lab.spec.fam_layout import Books
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.traffic import storage
from fame_lab.traffic.validation import check
from fame_lab.traffic.views import TrafficViews

if TYPE_CHECKING:
    import os

    import xarray as xr

__all__ = ["Traffic"]


@dataclass(frozen=True, eq=False, repr=False)
class Traffic(TrafficViews):
    """Accesses to FAM, counted or sampled. It needs no lab: it can be saved, loaded and drawn without one.

    Parameters
    ----------
    counts : xarray.Dataset
        Of a trace: ``accesses`` and ``bytes`` [B], uint64, over (op, node, granule). ``op`` is load, store;
        ``granule`` is the offset in FAM [B] of a granule's first byte, ascending, and only of granules that
        anyone touched; ``attrs["granule"]`` is their size [B]. A granule may have bytes and no access: an
        access counts where it begins, its bytes where they lie.
        Of samples: ``changed`` (granule), the number of looks in which it had changed, and on kernels with
        soft-dirty pages ``changed_by`` (node, granule).
    timeline : xarray.Dataset
        The same over time, by what was added between looks: ``accesses`` and ``bytes`` over (time, op,
        node, bin); of samples ``changed`` (time, bin). ``time`` [s] since the start, at the end of each
        interval; ``bin`` is the offset [B] of bins of ``attrs["bin"]`` bytes. There may be no row.
    spec : dict
        The lab's, from :meth:`fame_lab.LabSpec.to_dict`. It tells the nodes, and the homes of books.
    source : {"trace", "samples"}
        Exact counts by author, or what the host saw change.
    window : tuple of int
        Offset and size of the part of FAM that was watched [B].
    manifest : dict
        Where the numbers come from: see :meth:`fame_lab.Lab.manifest`. Values that JSON can hold.
    ended : dict
        Nodes whose counts ended before the recording did, and why.

    Raises
    ------
    TrafficError
        If these do not fit together.
    """

    counts: xr.Dataset
    timeline: xr.Dataset
    spec: dict[str, Any]
    source: str
    window: tuple[int, int]
    manifest: dict[str, Any]
    ended: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)

    def traffic(self) -> Traffic:
        """Give itself: it does not change any more."""
        return self

    @property
    def granule(self) -> int:
        """Bytes of a granule, the unit of place."""
        return int(self.counts.attrs["granule"])

    @property
    def books(self) -> Books:
        """The books of FAM and their homes."""
        return LabSpec.from_dict(self.spec).books

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the lab's nodes."""
        return LabSpec.from_dict(self.spec).node_names

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Traffic:
        """Load what :meth:`save` saved, and check it.

        Raises
        ------
        TrafficError
            If there is none, or one that cannot be right.
        """
        parts = storage.load(directory)
        try:
            return cls(**parts)
        except TrafficError as error:
            raise TrafficError(f"{str(directory)!r} holds no traffic that can be right: {error}") from error

    def __repr__(self) -> str:
        places = self.counts.sizes["granule"]
        looks = self.timeline.sizes["time"]
        ended = f", ended early: {', '.join(self.ended)}" if self.ended else ""
        recorded = f", {told}" if (told := label(self.manifest)) else ""
        return (
            f"<Traffic of {self.spec['name']!r} by {self.source}: {len(self.nodes)} nodes, "
            f"{places:,} granules of {format_size(self.granule)}, {looks:,} looks"
            f"{ended}{self._order_in_words()}{recorded}>"
        )

    def _order_in_words(self) -> str:
        order = self.manifest.get("order")
        by_node = order.get("lost") if isinstance(order, dict) else None
        # It may have been loaded from anywhere.
        lost = sum(n for n in by_node.values() if isinstance(n, int)) if isinstance(by_node, dict) else 0
        return f", order without {lost:,} accesses" if lost else ""

    def _repr_html_(self) -> str:
        from fame_lab.traffic.plots.traffic_html import (
            traffic_html,  # it brings matplotlib's words, and is for notebooks
        )

        return traffic_html(self)
