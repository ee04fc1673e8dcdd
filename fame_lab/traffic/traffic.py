"""A recording's counts, and all views of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fame_lab.core.sizes import format_size
from fame_lab.errors import TrafficError
from fame_lab.results.provenance import label
from fame_lab.traffic import storage
from fame_lab.traffic.data import TrafficData
from fame_lab.traffic.validation import check
from fame_lab.traffic.views import TrafficViews

if TYPE_CHECKING:
    import os


__all__ = ["Traffic"]


@dataclass(frozen=True, eq=False, repr=False)
class Traffic(TrafficData, TrafficViews):
    """Accesses to FAM, counted or sampled. It can be saved, loaded and drawn without a lab.

    Its fields are those of :class:`fame_lab.traffic.data.TrafficData`.

    Raises
    ------
    TrafficError
        If its fields do not fit together.
    """

    def __post_init__(self) -> None:
        check(self)

    def traffic(self) -> Traffic:
        """Return itself: it does not change any more."""
        return self

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Traffic:
        """Load traffic that :meth:`save` saved, and check it.

        Parameters
        ----------
        directory : path

        Returns
        -------
        Traffic

        Raises
        ------
        TrafficError
            If there is none, or it cannot be right.
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
        recorded = f", {origin}" if (origin := label(self.manifest)) else ""
        return (
            f"<Traffic of {self.spec['name']!r} by {self.source}: {len(self.nodes)} nodes, "
            f"{places:,} granules of {format_size(self.granule)}, {looks:,} looks"
            f"{ended}{self._order_in_words()}{recorded}>"
        )

    def _order_in_words(self) -> str:
        order = self.manifest.get("order")
        by_node = order.get("lost") if isinstance(order, dict) else None
        # The manifest may come from anywhere.
        lost = sum(n for n in by_node.values() if isinstance(n, int)) if isinstance(by_node, dict) else 0
        return f", order without {lost:,} accesses" if lost else ""

    def _repr_html_(self) -> str:
        # It imports matplotlib, and is for notebooks.
        from fame_lab.traffic.plots.traffic_html import traffic_html

        return traffic_html(self)
