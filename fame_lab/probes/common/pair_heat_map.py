"""Every pair of nodes: one number for each, as a heat map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fame_lab.results import plots

__all__ = ["heat_map"]

#: Values over so many times the median have a colour of their own, off the scale.
_BEYOND = 4
_OVER = "#D55E00"

#: Up to so many nodes a panel has room for a number in each cell, by the number of panels beside it.
_LEGIBLE = {1: 16, 2: 8}


def heat_map(values: xr.DataArray, manifest: Mapping[str, Any], title: str, note: str) -> Figure:
    """Draw one panel a variant, each initiator a row and each responder a column, all on one scale.

    Parameters
    ----------
    values : DataArray (variant, initiator, responder)
        In nanoseconds, with a ``long_name``; NaN where a node would meet itself.
    manifest : mapping
        Of the result.
    title, note : str
        See :func:`fame_lab.results.plots.figure`.

    Returns
    -------
    Figure
        Cells are annotated while there is room for it. The scale is even to the eye, in grey too, and ends
        at four times the median.
    """
    panels, nodes = values.sizes["variant"], values.sizes["initiator"]
    columns = 1 if panels == 1 else 2
    rows = -(-panels // columns)
    figure, axes = plots.figure(
        title,
        manifest,
        note,
        columns=columns,
        rows=rows,
        height=0.9 + (5.4 if columns == 1 else 3.6 * rows),
    )
    middle, low, high = float(values.median()), float(values.min()), float(values.max())
    scale, unit = (1e3, "µs") if middle >= 1e4 else (1.0, "ns")
    # A match that the host disturbed may be a thousand times slower: it must not grey out all others.
    top = min(high, _BEYOND * middle)
    norm = LogNorm(low / scale, max(top, 1.01 * low) / scale)
    colours = colormaps["viridis_r"].with_extremes(over=_OVER)
    legible = nodes <= _LEGIBLE[columns]
    for number, panel in enumerate(axes):
        if number >= panels:
            panel.set_visible(False)
            continue
        below = number + columns < panels
        _panel(panel, values[number] / scale, norm, colours, annotate=legible)
        panel.set_title(str(values["variant"].values[number]), fontsize=10)
        panel.tick_params(labelbottom=not below)
        panel.set_xlabel("" if below else "responder")
        panel.set_ylabel("initiator, whose clock it is" if number % columns == 0 else "")
    bar = figure.colorbar(
        ScalarMappable(norm, colours),
        ax=axes,
        shrink=0.7,
        pad=0.02,
        extend="max" if top < high else "neither",
    )
    beyond = f"; orange{'' if legible else ', x'}: over {_BEYOND} times the median" if top < high else ""
    plots.set_font_sizes(bar.ax)
    bar.set_label(f"{values.attrs['long_name']} [{unit}]{beyond}")
    plots.plain_log(bar.ax.yaxis)
    bar.minorticks_off()
    return figure


def _panel(axes: Axes, values: xr.DataArray, norm: LogNorm, colours: Colormap, *, annotate: bool) -> None:
    names = [str(name) for name in values["initiator"].values]
    axes.imshow(values.values, norm=norm, cmap=colours)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(min(len(names), 10), integer=True, min_n_ticks=1))
        axis.set_major_formatter(
            FuncFormatter(lambda at, _: names[int(at)] if at == int(at) and 0 <= at < len(names) else "")
        )
    axes.tick_params(labelsize=8, length=0)
    axes.tick_params(axis="x", rotation=0 if len(names) <= 4 else 90)
    if not annotate:
        beyond = np.argwhere(values.values > norm.vmax)
        axes.plot(beyond[:, 1], beyond[:, 0], linestyle="none", marker="x", markersize=3, color="black")
        return
    for (row, column), value in np.ndenumerate(values.values):
        if np.isfinite(value):
            colour = plots.text_colour(colours(norm(value)))
            axes.text(column, row, _short(value), ha="center", va="center", fontsize=8, color=colour)


def _short(value: float) -> str:
    """Write three significant figures in five characters or fewer."""
    for unit, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= unit:
            return _short(value / (unit if unit > 1e4 else 1e3)) + suffix
    return np.format_float_positional(value, 3 if value < 1e3 else 4, fractional=False, trim="-")
