"""Recordings beside each other, on one scale of colours: what changes with the placement, or the program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError
from fame_lab.results.plots import NotebookFigure, new_figure
from fame_lab.traffic import aggregation
from fame_lab.traffic.plots.address_axis import columns
from fame_lab.traffic.plots.captions import count_label, early_ends, source_caveat
from fame_lab.traffic.plots.panels import (
    colour_bar,
    draw_heat,
    draw_matrix,
    empty_panel,
    label_nodes,
    log_norm,
)

if TYPE_CHECKING:
    from fame_lab.traffic.data import TrafficData
    from fame_lab.traffic.views import TrafficViews

__all__ = ["plot"]

_MAX_RECORDINGS = 8
_ACROSS = 4


def plot(recordings: Mapping[str, TrafficViews], what: str = "matrix") -> NotebookFigure:
    """Draw several recordings in one figure: loads and stores together, the colours those of all.

    Parameters
    ----------
    recordings : mapping of str to recording or Traffic
        From 1 to 8 traces, by what each is to be called; of labs alike in nodes, FAM and homes, and with
        granules of one size.
    what : {"matrix", "heat"}
        Matrices side by side, or nodes over addresses one above the other. Above each other they have the
        same columns, so that what lies at one place in FAM is at one place in the picture.

    Raises
    ------
    SpecError
        If that cannot be drawn.
    TrafficError
        Of samples, which have no author.
    """
    known = {"matrix": _matrices, "heat": _heats}
    if what not in known:
        raise SpecError(f"what is {quoted(what)}", hint=f"give {' or '.join(map(repr, known))}")
    found = {name: each.traffic() for name, each in recordings.items()}
    if not 1 <= len(found) <= _MAX_RECORDINGS:
        raise SpecError(f"there are {len(found)} recordings", hint=f"give from 1 to {_MAX_RECORDINGS}")
    for traffic in found.values():
        aggregation.require_trace(traffic, "who accessed what")
    if len({(traffic.books, traffic.granule) for traffic in found.values()}) != 1:
        raise SpecError(
            "the recordings differ in nodes, books or granules", hint="give those of labs that are alike"
        )
    return known[what](found)


def _matrices(found: Mapping[str, TrafficData]) -> NotebookFigure:
    counted = {
        name: aggregation.matrix(traffic, "accesses").values.sum(axis=0) for name, traffic in found.items()
    }
    across = min(len(found), _ACROSS)
    rows = -(-len(found) // across)
    made = _begin(found, "Who accessed whose memory", "Framed: local", height=1.0 + 2.7 * rows)
    panels = list(made.subplots(rows, across, squeeze=False).flat)
    norm = log_norm(*counted.values())
    for axes, (name, values) in zip(panels, counted.items(), strict=False):
        traffic = found[name]
        draw_matrix(axes, values, traffic.nodes, norm, ended=traffic.ended)
        share = float(aggregation.remote_share(traffic, "accesses")["overall"])
        remote = "" if np.isnan(share) else f", {share:.1%} remote"
        axes.set_title(f"{name}\n{count_label(float(values.sum()))}{remote}", fontsize=10)
    for number, axes in enumerate(panels):
        if number % across:
            axes.set_ylabel("")
        if number >= len(found):
            axes.set_axis_off()
    if any(values.any() for values in counted.values()):
        colour_bar(panels[0], panels, norm, "accesses")
    return made


def _heats(found: Mapping[str, TrafficData]) -> NotebookFigure:
    first = next(iter(found.values()))
    row = float(np.clip(0.25 * len(first.nodes), 0.5, 2.0)) + 0.45
    note = "Colours: sum of a column. Bottom row: the node at which it is at home"
    made = _begin(found, "Accesses by address", note, height=1.1 + row * len(found))
    panels: list[Any] = list(made.subplots(len(found), 1, sharex=True, squeeze=False).flat)
    offsets = np.unique(np.concatenate([traffic.counts["granule"].values for traffic in found.values()]))
    if not offsets.size:
        for axes, name in zip(panels, found, strict=True):
            empty_panel(axes, f"{name}: nobody touched FAM")
        return made
    shown = columns(offsets, first.granule)
    values = {name: shown.add(_at(traffic, offsets)) for name, traffic in found.items()}
    norm = log_norm(*values.values())
    for axes, (name, traffic) in zip(panels, found.items(), strict=True):
        draw_heat(axes, values[name], shown, norm, traffic.books)
        label_nodes(axes, traffic.nodes, traffic.ended)
        axes.set_title(f"{name}: {count_label(_accesses(traffic))}", fontsize=10, loc="left")
        axes.set_ylabel("by node")
    for axes in panels[:-1]:
        axes.set_xlabel("")
    colour_bar(panels[0], panels, norm, "accesses")
    return made


def _at(traffic: TrafficData, offsets: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the accesses of each node at `offsets`, which are ascending and include all that it has."""
    own = traffic.counts["granule"].values
    values = np.zeros((len(traffic.nodes), offsets.size), np.uint64)
    values[:, np.searchsorted(offsets, own)] = traffic.counts["accesses"].values.sum(axis=0)
    return values


def _accesses(traffic: TrafficData) -> int:
    return int(traffic.counts["accesses"].sum())


def _begin(found: Mapping[str, TrafficData], title: str, note: str, *, height: float) -> NotebookFigure:
    told = [f"{name}: {line}" for name, traffic in found.items() for line in early_ends(traffic)]
    recordings = f"{len(found)} recording{'' if len(found) == 1 else 's'}"
    foot = [
        source_caveat(next(iter(found.values()))),
        f"n = {sum(map(_accesses, found.values())):,} accesses in {recordings}",
        *told,
        f"{note}. One scale of colours for all",
    ]
    return new_figure(title, "\n".join(foot), *(each.manifest for each in found.values()), height=height)
