"""A figure that shows itself in a notebook: as a picture, or with ``%matplotlib widget`` to zoom into."""

from __future__ import annotations

import base64
import io
import os
import sys
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.figure import Figure

from fame_lab.core.kernel_env import RUN_VARIABLE

if TYPE_CHECKING:
    from ipympl.backend_nbagg import Canvas

__all__ = ["NotebookFigure", "png"]

_BACKEND = "ipympl.backend_nbagg"


def png(figure: Figure) -> bytes:
    """Draw a figure as a PNG."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


class NotebookFigure(Figure):
    """A figure that a notebook shows whether or not pyplot was ever loaded.

    It is a picture, or after ``%matplotlib widget`` a widget. The widget lasts as long as the notebook's
    kernel, or until ``figure.canvas.close()``.
    """

    def _repr_png_(self) -> bytes:
        return png(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        if not _interactive():
            return {}  # the picture alone
        # The widget's own bundle has HTML too, which a page would show instead of the picture.
        canvas = self._widget()
        return {
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": canvas.model_id,
            },
            # For a page made from the notebook, where no widget lives.
            "image/png": base64.b64encode(png(self)).decode(),
            "text/plain": repr(self),
        }

    def _widget(self) -> Canvas:
        """Return the figure's one widget, however often it is shown."""
        from ipympl.backend_nbagg import Canvas, FigureManager

        if isinstance(self.canvas, Canvas) and self.canvas.comm is not None:
            return self.canvas
        canvas = Canvas(self)
        canvas.header_visible = False  # it has its title
        FigureManager(canvas, 0)  # the canvas keeps it; pyplot learns of neither
        return canvas


def _interactive() -> bool:
    if _BACKEND not in sys.modules:  # not in use; a question to matplotlib could load pyplot
        return False
    if matplotlib.get_backend().removeprefix("module://") not in ("ipympl", "widget", _BACKEND):
        return False
    # Nobody can zoom in a notebook that is executed for a report.
    return RUN_VARIABLE not in os.environ
