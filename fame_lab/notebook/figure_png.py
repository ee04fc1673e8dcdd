"""A figure as a picture for a widget."""

from __future__ import annotations

import io
from typing import Protocol

from matplotlib.figure import Figure

__all__ = ["Drawable", "png"]


class Drawable(Protocol):
    """What has a plot."""

    def plot(self) -> Figure:
        """Draw it."""


def png(drawable: Drawable) -> bytes:
    """Draw something, as a PNG."""
    picture = io.BytesIO()
    drawable.plot().savefig(picture, format="png")
    return picture.getvalue()
