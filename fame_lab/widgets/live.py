"""The live view of a recording: matrix and address heat, drawn anew several times a second."""

from __future__ import annotations

import base64
import html
import io
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from fame_lab.errors import FameError, SpecError
from fame_lab.hosting import RUN_VARIABLE
from fame_lab.plots import size_label
from fame_lab.traffic.panels import draw_matrix

if TYPE_CHECKING:
    from fame_lab.traffic.glance import Glance
    from fame_lab.traffic.recording import Recording

__all__ = ["LiveView", "StillView", "draw", "live"]

log = logging.getLogger(__name__)

_SEES = {
    "trace": "traced: every access so far",
    "samples": "sampled: how often anything changed between two looks; no loads, no author",
}


def live(recording: Recording, every: float) -> LiveView | StillView:
    """Give the view: see :meth:`fame_lab.traffic.recording.Recording.live`."""
    if isinstance(every, bool) or not isinstance(every, (int, float)) or not 0.1 <= every <= 60:
        raise SpecError(f"every is {every!r}: give 0.1 to 60 seconds")
    # A notebook that is executed for a report has nobody who could see a widget move.
    return StillView(recording) if RUN_VARIABLE in os.environ else LiveView(recording, every)


class LiveView(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """A picture that follows a recording until it stops, and a button that pauses it.

    Parameters
    ----------
    recording : Recording
        It may be shown before it starts.
    every : float
        Seconds from picture to picture.
    """

    def __init__(self, recording: Recording, every: float) -> None:
        self._recording = recording
        self._every = every
        self._closed = False
        self._awake = threading.Event()
        self.pause = ipywidgets.ToggleButton(
            description="Pause", icon="pause", layout=ipywidgets.Layout(flex="none")
        )
        self.status = ipywidgets.HTML()
        # As wide as it was drawn, unless there is less room: a picture that is stretched is a blur.
        self.picture = ipywidgets.Image(
            format="png", layout=ipywidgets.Layout(align_self="flex-start", max_width="100%", display="none")
        )
        self._head = ipywidgets.HBox([self.pause, self.status])
        super().__init__([self._head, self.picture])
        self._show()
        self.pause.observe(self._wake, "value")
        recording.when_stopped(self._wake)
        self._thread = threading.Thread(target=self._work, name="live", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it, and take it from the notebook."""
        self._closed = True
        self._wake()
        for widget in (self.pause, self.status, self.picture, self._head):
            widget.close()
        super().close()

    def _repr_mimebundle_(self, **words: Any) -> Any:
        bundle = super()._repr_mimebundle_(**words)
        # For a page that is made of the notebook, where no widget lives.
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None and self.picture.value:
            # As text: bytes make the notebook an invalid one.
            data["image/png"] = base64.b64encode(self.picture.value).decode()
        return bundle

    def _wake(self, *_: Any) -> None:
        self._awake.set()

    def _work(self) -> None:
        while not self._closed:
            self._awake.wait(self._every)
            self._awake.clear()
            running = self._recording.running
            if running and self.pause.value:
                self.status.value = "paused"
            elif self._show() and not running:
                self.pause.disabled = True
                return

    def _show(self) -> bool:
        """Show it as it is, or what is in the way; tell which."""
        try:
            running = self._recording.running
            # One picture takes the place of another: nothing is added, and nothing flickers.
            self.picture.value = draw(self._recording.glance(), self._recording.source)
        except (FameError, OSError, ValueError) as error:
            # It may have stopped between two lines; what is wrong is told where it can be seen.
            self.status.value = html.escape(str(error))
            log.debug("no picture: %s", error)
            return False
        self.picture.layout.display = None
        self.status.value = "running" if running else "stopped"
        return True


class StillView:
    """The picture as it is, and when the recording has stopped, the last one in its place.

    Parameters
    ----------
    recording : Recording
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._shown: Any = None

    def _ipython_display_(self) -> None:
        from IPython.display import display

        self._shown = display(self._picture(), raw=True, display_id=True)
        self._recording.when_stopped(self._update)

    def _update(self) -> None:
        self._shown.update(self._picture(), raw=True)

    def _picture(self) -> dict[str, Any]:
        png = draw(self._recording.glance(), self._recording.source)
        return {
            "image/png": base64.b64encode(png).decode(),
            "text/plain": f"<{self._recording.source}, still>",
        }


def draw(glance: Glance, source: str) -> bytes:
    """Draw a glance; give a PNG.

    Examples
    --------
    >>> from fame_lab.traffic.glance import Glance
    >>> draw(Glance(("node01",), None, np.ones((1, 4)), 4096), "samples")[1:4]
    b'PNG'
    """
    rows = len(glance.heat)
    figure = Figure(figsize=(8, 3.4 + rows / 12), dpi=100)
    FigureCanvasAgg(figure)
    if glance.matrix is not None:
        grid = figure.add_gridspec(
            1, 3, width_ratios=(1, 1, 2.2), left=0.06, right=0.98, bottom=0.22, wspace=0.3
        )
        norm = _norm(glance.matrix)
        for op, name in enumerate(("loads", "stores")):
            axes = figure.add_subplot(grid[op])
            draw_matrix(axes, glance.matrix[op], glance.nodes, norm)
            axes.set_title(name, fontsize=10)
        heated = figure.add_subplot(grid[2])
    else:
        heated = figure.add_axes((0.08, 0.25, 0.88, 0.6))
    _heat(heated, glance)
    figure.text(0.5, 0.03, _SEES[source], ha="center", fontsize=8, color="0.35")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _heat(axes: Axes, glance: Glance) -> None:
    rows, bins = glance.heat.shape
    plain = np.ma.masked_less_equal(glance.heat.astype(float), 0)
    axes.imshow(plain, cmap="viridis_r", norm=_norm(glance.heat), aspect="auto", interpolation="nearest")
    axes.set_title("where in FAM", fontsize=10)
    axes.set_yticks(range(rows), glance.nodes if rows == len(glance.nodes) else ["all"] * rows, fontsize=7)
    ticks = np.linspace(0, bins, 5)
    axes.set_xticks(ticks - 0.5, [size_label(int(tick * glance.bin_size)) for tick in ticks], fontsize=7)
    axes.set_xlim(-0.5, bins - 0.5)
    axes.set_xlabel("address", fontsize=8)


def _norm(values: Any) -> LogNorm:
    return LogNorm(1, max(float(values.max()), 10.0))
