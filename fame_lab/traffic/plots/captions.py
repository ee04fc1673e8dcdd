"""Captions of traffic plots: what the numbers are, what they leave out, how fine they are."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from fame_lab.results.plots import size_label
from fame_lab.spec.fam_layout import ControlArea

if TYPE_CHECKING:
    from fame_lab.traffic.data import TrafficData

__all__ = ["ENDED", "caption", "count_label", "counted", "early_ends", "resolution", "source_caveat"]

ENDED = "†"  # stands at a node's number where its counts ended early
_MAX_ENDED = 3
_MAX_CHARACTERS = 200  # of the reason for an early end

_SUFFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def source_caveat(traffic: TrafficData) -> str:
    """Return the numbers' source, and its blind spots."""
    if traffic.source == "trace":
        return "traced: exact counts; not seen: the host, devices, the order of accesses within an interval"
    if "changed_by" in traffic.counts:
        return "sampled: what changed between two looks; no loads; author as soft-dirty pages tell"
    return "sampled: what changed between two looks; no loads, no author"


def resolution(traffic: TrafficData) -> str:
    """Return the resolution in place and time, and the nodes with counts that ended early."""
    time = traffic.timeline["time"].values
    if time.size:
        interval = f"{np.median(np.diff(time, prepend=0)):.3g} s"
        when = f"{time.size:,} looks in {time[-1]:.3g} s, one in {interval} (median)"
    else:
        when = "no look on the way: totals alone"
    offset, size = traffic.window
    whole = offset == 0 and size >= ControlArea(traffic.books.fam_size).offset
    watched = "all of FAM" if whole else f"{size_label(size)} from {offset:#x}"
    where = f"granules of {size_label(traffic.granule)}; watched: {watched}"
    return "\n".join([f"{when}; {where}", *early_ends(traffic)])


def early_ends(traffic: TrafficData) -> list[str]:
    """Return a line for each node with counts that ended early, and why."""
    ended = [f"{ENDED} {node}'s counts ended early: {why}" for node, why in sorted(traffic.ended.items())]
    if len(ended) > _MAX_ENDED:
        ended[_MAX_ENDED:] = [f"{ENDED} and those of {len(ended) - _MAX_ENDED} more"]
    return [textwrap.shorten(each, _MAX_CHARACTERS) for each in ended]


def counted(traffic: TrafficData) -> str:
    """Return the number of accesses, or of looks, and of granules."""
    places = traffic.counts.sizes["granule"]
    granules = f"{places:,} granule{'' if places == 1 else 's'}"
    if traffic.source == "trace":
        return f"n = {int(traffic.counts['accesses'].sum()):,} accesses to {granules}"
    looks = traffic.timeline.sizes["time"]
    return f"n = {looks:,} look{'' if looks == 1 else 's'}, between which {granules} changed"


def caption(traffic: TrafficData, note: str = "", *, count: str = "") -> str:
    """Return the caption at a figure's foot, with :func:`counted` or another `count`."""
    lines = [source_caveat(traffic), count or counted(traffic), resolution(traffic), note]
    return "\n".join(line for line in lines if line)


def count_label(value: float, *, digits: int = 3) -> str:
    """Write a count in a few characters.

    Examples
    --------
    >>> count_label(999), count_label(51200), count_label(3_140_000)
    ('999', '51.2k', '3.14M')
    >>> count_label(1960, digits=2), count_label(198_400, digits=2)
    ('2k', '198k')
    """
    for step, suffix in _SUFFIXES:
        if value >= step:
            scaled = value / step
            return f"{scaled:.0f}{suffix}" if scaled >= 10 ** (digits - 1) else f"{scaled:.{digits}g}{suffix}"
    return f"{value:g}"
