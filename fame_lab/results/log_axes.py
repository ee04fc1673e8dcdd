"""Logarithmic axes with plain labels: as many as have room, wherever one has zoomed to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter

__all__ = ["TICK_POINTS", "plain_log", "size_axis", "size_label"]

#: The size of ticks' labels.
TICK_POINTS = 8.0

_SUFFIXES = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))

_Ticks = npt.NDArray[np.floating[Any]]


def _number(value: float) -> str:
    return f"{value:,.10g}"


def plain_log(axis: Axis, label: Callable[[float], str] = _number) -> None:
    """Label a logarithmic axis in plain numbers, as `label` writes them."""
    _label(axis, _decimal, label)
    axis.set_minor_formatter(NullFormatter())


def size_axis(axes: Axes, label: str) -> None:
    """Make the horizontal axis one of sizes in bytes, labelled at powers of two."""
    axes.set_xscale("log", base=2)
    _label(axes.xaxis, _binary, size_label)
    axes.xaxis.set_minor_locator(LogLocator(base=4, numticks=24))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)


def size_label(size: float) -> str:
    """Write a size for an axis.

    Examples
    --------
    >>> size_label(4096), size_label(1536 << 10), size_label(64)
    ('4 KiB', '1.5 MiB', '64 B')
    """
    for unit, suffix in _SUFFIXES:
        if size >= unit:
            return f"{size / unit:g} {suffix}"
    return f"{size:g} B"


def _label(
    axis: Axis, choices: Callable[[float, float], Iterator[_Ticks]], label: Callable[[float], str]
) -> None:
    axis.set_tick_params(labelsize=TICK_POINTS)
    axis.set_major_locator(_WithRoom(choices, label))
    axis.set_major_formatter(FuncFormatter(lambda value, _: label(value)))


class _WithRoom(Locator):
    """A locator: of several choices of ticks, ever fewer, the first with room for all labels."""

    def __init__(
        self, choices: Callable[[float, float], Iterator[_Ticks]], label: Callable[[float], str]
    ) -> None:
        self._choices, self._label = choices, label

    def __call__(self) -> list[float]:
        return self.tick_values(*self.axis.get_view_interval())  # type: ignore[union-attr]

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        low, high = sorted((float(vmin), float(vmax)))
        if not 0 < low < high:
            return []
        most: _Ticks = np.empty(0)
        for ticks in self._choices(low, high):
            inside = ticks[(ticks >= low) & (ticks <= high)]
            most = inside if inside.size > most.size else most
            if self._fit(inside, low, high):
                # A single tick shows no scale.
                return [*(inside if inside.size > 1 or not most.size else most[[0, -1]])]
        return [*most[:1]]

    def _fit(self, ticks: _Ticks, low: float, high: float) -> bool:
        axis: Any = self.axis
        box = axis.axes.bbox
        across = isinstance(axis, XAxis)
        length = (box.width if across else box.height) * 72 / axis.get_figure(root=True).dpi
        gaps = np.diff(np.log(ticks)) / np.log(high / low) * length
        if across:
            widths = np.array([len(self._label(tick)) for tick in ticks]) * 0.6 + 1
            needed = TICK_POINTS * (widths[:-1] + widths[1:]) / 2
        else:
            needed = np.full(gaps.size, 1.6 * TICK_POINTS)
        return bool((gaps >= needed).all())


def _linear(low: float, high: float) -> Iterator[_Ticks]:
    for most in (8, 5, 4, 3, 2, 1):
        yield np.asarray(MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(low, high), np.float64)


def _decimal(low: float, high: float) -> Iterator[_Ticks]:
    if high / low < 10:  # a decade may hold no power of ten at all, and hardly a 2 or a 5
        yield from _linear(low, high)
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    for subs in ((1, 2, 5), (1, 3)):
        yield np.multiply.outer(10.0 ** np.arange(first, last + 1), subs).ravel()
    for step in range(1, last - first + 1):
        yield 10.0 ** np.arange(-(-first // step) * step, last + 1, step)


def _binary(low: float, high: float) -> Iterator[_Ticks]:
    first, last = int(np.floor(np.log2(low))), int(np.ceil(np.log2(high)))
    if high / low < 4:
        for most in (6, 4, 3, 2, 1):
            spacing = 2.0 ** np.ceil(np.log2((high - low) / most))
            yield np.arange(np.ceil(low / spacing), high // spacing + 1) * spacing
    for step in (1, *range(2, last - first + 2, 2)):
        yield 2.0 ** np.arange(-(-first // step) * step, last + 1, step)
