"""Figures in the project's style, for a notebook; traffic side by side, and accesses in their order."""

from fame_lab.results.plots import figure, plain_log, provenance, size_axis, style
from fame_lab.traffic.plots.access_order import plot as access_order
from fame_lab.traffic.plots.side_by_side import plot as side_by_side

__all__ = ["access_order", "figure", "plain_log", "provenance", "side_by_side", "size_axis", "style"]
