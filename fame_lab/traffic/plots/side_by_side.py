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
    """Draw several recordings in one figure, loads and stores together, on one scale of colours.

    Parameters
    ----------
    recordings : mapping of str to recording or Traffic
        From 1 to 8 traces, by the name to show. Their labs are alike in nodes, FAM and homes, and their
        granules have one size.
    what : {"matrix", "heat"}
        Matrices side by side, or nodes over addresses one above the other. The latter have the same columns,
        so that one place in FAM is one place in the picture.

    Raises
    ------
    SpecError
        If `what` is neither, there are too few or too many recordings, or they are not alike.
    TrafficError
        Of samples, which have no author.
    """
    views = {"matrix": _matrices, "heat": _heats}
    if what not in views:
        raise SpecError(f"what is {quoted(what)}", hint=f"give {' or '.join(map(repr, views))}")
    data = {name: each.traffic() for name, each in recordings.items()}
    if not 1 <= len(data) <= _MAX_RECORDINGS:
        raise SpecError(f"there are {len(data)} recordings", hint=f"give from 1 to {_MAX_RECORDINGS}")
    for traffic in data.values():
        aggregation.require_trace(traffic, "who accessed what")
    if len({(traffic.books, traffic.granule) for traffic in data.values()}) != 1:
        raise SpecError(
            "the recordings differ in nodes, books or granules", hint="give those of labs that are alike"
        )
    return views[what](data)


def _matrices(data: Mapping[str, TrafficData]) -> NotebookFigure:
    matrices = {
        name: aggregation.matrix(traffic, "accesses").values.sum(axis=0) for name, traffic in data.items()
    }
    across = min(len(data), _ACROSS)
    rows = -(-len(data) // across)
    figure = _begin(data, "Who accessed whose memory", "Framed: local", height=1.0 + 2.7 * rows)
    panels = list(figure.subplots(rows, across, squeeze=False).flat)
    norm = log_norm(*matrices.values())
    for axes, (name, values) in zip(panels, matrices.items(), strict=False):
        traffic = data[name]
        draw_matrix(axes, values, traffic.nodes, norm, ended=traffic.ended)
        share = float(aggregation.remote_share(traffic, "accesses")["overall"])
        remote = "" if np.isnan(share) else f", {share:.1%} remote"
        axes.set_title(f"{name}\n{count_label(float(values.sum()))}{remote}", fontsize=10)
    for number, axes in enumerate(panels):
        if number % across:
            axes.set_ylabel("")
        if number >= len(data):
            axes.set_axis_off()
    if any(values.any() for values in matrices.values()):
        colour_bar(panels[0], panels, norm, "accesses")
    return figure


def _heats(data: Mapping[str, TrafficData]) -> NotebookFigure:
    first = next(iter(data.values()))
    row = float(np.clip(0.25 * len(first.nodes), 0.5, 2.0)) + 0.45
    note = "Colours: sum of a column. Bottom row: the node at which it is at home"
    figure = _begin(data, "Accesses by address", note, height=1.1 + row * len(data))
    panels: list[Any] = list(figure.subplots(len(data), 1, sharex=True, squeeze=False).flat)
    offsets = np.unique(np.concatenate([traffic.counts["granule"].values for traffic in data.values()]))
    if not offsets.size:
        for axes, name in zip(panels, data, strict=True):
            empty_panel(axes, f"{name}: nobody touched FAM")
        return figure
    addresses = columns(offsets, first.granule)
    values = {name: addresses.add(_at(traffic, offsets)) for name, traffic in data.items()}
    norm = log_norm(*values.values())
    for axes, (name, traffic) in zip(panels, data.items(), strict=True):
        draw_heat(axes, values[name], addresses, norm, traffic.books)
        label_nodes(axes, traffic.nodes, traffic.ended)
        axes.set_title(f"{name}: {count_label(_accesses(traffic))}", fontsize=10, loc="left")
        axes.set_ylabel("by node")
    for axes in panels[:-1]:
        axes.set_xlabel("")
    colour_bar(panels[0], panels, norm, "accesses")
    return figure


def _at(traffic: TrafficData, offsets: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the accesses of each node at `offsets`. These ascend, and include all of the recording's."""
    own = traffic.counts["granule"].values
    values = np.zeros((len(traffic.nodes), offsets.size), np.uint64)
    values[:, np.searchsorted(offsets, own)] = traffic.counts["accesses"].values.sum(axis=0)
    return values


def _accesses(traffic: TrafficData) -> int:
    return int(traffic.counts["accesses"].sum())


def _begin(data: Mapping[str, TrafficData], title: str, note: str, *, height: float) -> NotebookFigure:
    notes = [f"{name}: {line}" for name, traffic in data.items() for line in early_ends(traffic)]
    recordings = f"{len(data)} recording{'' if len(data) == 1 else 's'}"
    foot = [
        source_caveat(next(iter(data.values()))),
        f"n = {sum(map(_accesses, data.values())):,} accesses in {recordings}",
        *notes,
        f"{note}. One scale of colours for all",
    ]
    return new_figure(title, "\n".join(foot), *(each.manifest for each in data.values()), height=height)
