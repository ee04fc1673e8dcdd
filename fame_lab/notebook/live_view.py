"""The live view of a recording: matrix and address heat, drawn anew several times a second."""

from __future__ import annotations

import base64
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fame_lab.core.html import render
from fame_lab.core.kernel_env import RUN_VARIABLE
from fame_lab.core.numeric import check_number
from fame_lab.errors import FameError
from fame_lab.notebook.dispose import close_tree
from fame_lab.notebook.html import hidden_picture
from fame_lab.notebook.switch_interval import short_switch_interval
from fame_lab.results.log_axes import size_label
from fame_lab.results.notebook_figure import png
from fame_lab.traffic.plots.captions import count_label
from fame_lab.traffic.plots.panels import draw_matrix, label_nodes, log_norm

if TYPE_CHECKING:
    from fame_lab.traffic.recording import Recording
    from fame_lab.traffic.snapshot import Snapshot

__all__ = ["LiveView", "StillView", "draw", "live"]

log = logging.getLogger(__name__)

_SEES = {
    "trace": "traced: every access so far; framed: local",
    "samples": "sampled: how often anything changed between two looks; no loads, no author",
}
_MODELLED = "lines: through modelled caches"
_COLOURS = "darker is more, white is none"

# Inches of a picture: its width, a title, and what is below the panels for numbers and names.
#: The middles of so many matrices, as parts of the width.
_MIDDLES = {2: (0.27, 0.75), 3: (0.19, 0.52, 0.85)}
_WIDTH, _TITLE, _MATRIX_BOTTOM, _HEAT_BOTTOM = 8.0, 0.3, 0.7, 0.85


def live(recording: Recording, every: float) -> LiveView | StillView:
    """Return the view: see :meth:`fame_lab.traffic.recording.Recording.live`."""
    every = check_number("every", every, 0.1, 60, "seconds")
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
        self.picture = hidden_picture()
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
        close_tree(self)

    def _repr_mimebundle_(self, **words: Any) -> Any:
        bundle = super()._repr_mimebundle_(**words)
        # For a page made from the notebook, which shows no widget.
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
            is_running = self._recording.running
            if is_running and self.pause.value:
                self.status.value = "paused"
            elif self._show() and not is_running:
                self.pause.disabled = True
                return

    def _show(self) -> bool:
        """Show the picture or the error that prevents it; return whether there is a picture."""
        try:
            is_running = self._recording.running
            # One picture takes the place of another: nothing is added, and nothing flickers.
            with short_switch_interval():
                self.picture.value = draw(self._recording.glance(), self._recording.source)
        except (FameError, OSError, ValueError) as error:
            # It may have stopped between two lines. The error is shown in place of the status.
            self.status.value = render("{{ error }}", error=error)
            log.debug("no picture: %s", error)
            return False
        self.picture.layout.display = None
        self.status.value = "running" if is_running else "stopped"
        return True


class StillView:
    """The picture as it is, and when the recording has stopped, the last one in its place.

    Parameters
    ----------
    recording : Recording
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._display: Any = None

    def _ipython_display_(self) -> None:
        from IPython.display import display

        self._display = display(self._picture(), raw=True, display_id=True)
        self._recording.when_stopped(self._update)

    def _update(self) -> None:
        self._display.update(self._picture(), raw=True)

    def _picture(self) -> dict[str, Any]:
        png = draw(self._recording.glance(), self._recording.source)
        return {
            "image/png": base64.b64encode(png).decode(),
            "text/plain": f"<{self._recording.source}, still>",
        }


def draw(glance: Snapshot, source: str) -> bytes:
    """Draw a snapshot, and return it as a PNG.

    Examples
    --------
    >>> from fame_lab.traffic.snapshot import Snapshot
    >>> draw(Snapshot(("node01",), None, np.ones((1, 4)), 4096), "samples")[1:4]
    b'PNG'
    """
    # Inches, as nodes need: of the heat from top to bottom, and of a matrix's side.
    rows = float(np.clip(0.28 * len(glance.heat), 0.7, 3.0))
    most = 3.0 if glance.lines is None else 2.0
    side = 0.0 if glance.matrix is None else float(np.clip(0.45 * len(glance.nodes), 1.6, most))
    height = _HEAT_BOTTOM + rows + _TITLE + (side + _MATRIX_BOTTOM if side else 0.0)
    figure = Figure(figsize=(_WIDTH, height), dpi=100)
    FigureCanvasAgg(figure)

    def axes_at(left: float, bottom: float, width: float, high: float) -> Axes:
        return figure.add_axes((left / _WIDTH, bottom / height, width / _WIDTH, high / height))

    if glance.matrix is not None:
        norm = log_norm(glance.matrix)
        panels = [
            (values, name, norm) for values, name in zip(glance.matrix, ("loads", "stores"), strict=True)
        ]
        if glance.lines is not None:
            panels.append((glance.lines, "lines moved", log_norm(glance.lines)))
        for (values, name, scale), middle in zip(panels, _MIDDLES[len(panels)], strict=True):
            axes = axes_at(_WIDTH * middle - side / 2, height - _TITLE - side, side, side)
            draw_matrix(axes, values, glance.nodes, scale)
            axes.set_title(f"{name}: {_total(values)}", fontsize=10 if len(panels) == 2 else 8)
    _heat(axes_at(0.75, _HEAT_BOTTOM, _WIDTH - 1.25, rows), glance)
    foot = "; ".join([_SEES[source], *([_MODELLED] if glance.lines is not None else []), _COLOURS])
    figure.text(0.5, 0.12 / height, foot, ha="center", fontsize=8, color="0.35")
    return png(figure)


def _total(values: npt.NDArray[Any]) -> str:
    total, local = float(values.sum()), float(np.trace(values))
    return f"{count_label(total)}, {1 - local / total:.1%} remote" if total else "none"


def _heat(axes: Axes, glance: Snapshot) -> None:
    rows, bins = glance.heat.shape
    plain = np.ma.masked_less_equal(glance.heat.astype(float), 0)
    axes.imshow(plain, cmap="viridis_r", norm=log_norm(glance.heat), aspect="auto", interpolation="nearest")
    axes.set_title("where in FAM", fontsize=10)
    if glance.matrix is None:
        axes.set_yticks([])  # nobody's in particular
    else:
        label_nodes(axes, glance.nodes, ())
        axes.set_ylabel("node", fontsize=8)
        for row in range(1, rows if rows <= 16 else 0):
            axes.axhline(row - 0.5, color="0.85", linewidth=0.6)
    ticks = np.linspace(0, bins, 5)
    axes.set_xticks(ticks - 0.5, [size_label(int(tick * glance.bin_size)) for tick in ticks], fontsize=7)
    axes.set_xlim(-0.5, bins - 0.5)
    axes.set_xlabel("address", fontsize=8)
