"""The panel's live view: a recording started and stopped by buttons, and its plot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets

from fame_lab.core.sizes import format_size, parse_size
from fame_lab.errors import SpecError
from fame_lab.lab.lab import Lab
from fame_lab.notebook.background_task import Task
from fame_lab.notebook.html import error_html, hidden_picture, muted, reason_html
from fame_lab.notebook.live_view import LiveView
from fame_lab.notebook.tab import LabTab, button
from fame_lab.results.notebook_figure import png
from fame_lab.spec.fam_layout import CONTROL_SIZE
from fame_lab.traffic.recording import Recording
from fame_lab.traffic.trace.counter_layout import FINEST_GRANULE
from fame_lab.traffic.traffic import Traffic
from fame_lab.traffic.transactions.cache import Cache

__all__ = ["TrafficTab"]


class TrafficTab(LabTab):
    """Records who touches which part of FAM.

    Parameters
    ----------
    lab, note : callable
        As of :class:`fame_lab.notebook.tab.LabTab`.
    """

    def __init__(self, lab: Callable[[], Lab | None], note: Callable[[str], None]) -> None:
        super().__init__(lab, note)
        self._recording: Recording | None = None
        self._view: LiveView | None = None
        #: What was recorded last.
        self.traffic: Traffic | None = None
        self.source = ipywidgets.Dropdown(
            options=["auto", "trace", "samples"], layout=ipywidgets.Layout(width="8em")
        )
        self.granule = ipywidgets.Text(
            value="4K", continuous_update=True, layout=ipywidgets.Layout(width="6em")
        )
        self.cache = ipywidgets.Text(
            placeholder="none", continuous_update=True, layout=ipywidgets.Layout(width="6em")
        )
        self.record = button("Record", "circle", "8em")
        self.stop_button = button("Stop recording", "stop", "13em")
        self.status = ipywidgets.HTML()
        self.live = ipywidgets.VBox()
        self.picture = hidden_picture()
        fields = (("source", self.source), ("granule", self.granule), ("cache", self.cache))
        controls = [each for name, field in fields for each in (ipywidgets.Label(name), field)]
        self.children = [
            ipywidgets.HBox([*controls, self.record, self.stop_button]),
            *(self.status, self.alert, self.live, self.picture),
        ]
        self._on(self.record, self._begin)
        self._on(self.stop_button, self._end)
        for field in (self.source, self.granule, self.cache):
            field.observe(lambda _: self.show(), "value")
        self._status = ""
        self.show()

    def show(self) -> None:
        """Show what can be done now."""
        lab, busy = self._lab(), self._task is not None
        recording = self._recording
        if recording is not None and not recording.running and not busy:
            self._take(recording)  # it ended with its lab
            recording = None
        problem = _granule_problem(self.granule.value) or self._cache_problem(lab)
        self.record.disabled = lab is None or busy or recording is not None or bool(problem)
        self.stop_button.disabled = busy or recording is None
        if problem:
            self.status.value = reason_html(problem)
        elif self._status:
            self.status.value = self._status
        elif lab is None:
            self.status.value = muted("Start a lab, or attach to one, first.")
        elif lab.spec.trace:
            self.status.value = muted("Every access is counted while it records.")
        else:
            self.status.value = muted(
                "This lab has no trace: what is seen is what changes in FAM, by nobody in particular."
            )

    def stop(self) -> None:
        """End what records, and wait for it."""
        super().stop()
        if (recording := self._recording) is not None and recording.running:
            recording.stop()
        if self._recording is not None:
            self._take(self._recording)

    def _begin(self) -> None:
        lab = self._lab()
        if lab is None or self._task is not None or self._recording is not None:
            return
        arguments: dict[str, Any] = {"source": self.source.value, "granule": self.granule.value.strip()}
        if self.cache.value.strip():
            arguments["cache"] = Cache(self.cache.value.strip())
        self._note(
            f"lab.record({', '.join(f'{name}={value!r}' for name, value in arguments.items())}).start()"
        )
        self._say("beginning …")
        self.picture.layout.display = "none"

        def work(task: Task) -> Recording:
            recording = lab.record(**arguments).start()
            if task.cancelled.is_set():
                recording.stop()
            return recording

        self._do(f"panel-record-{lab.spec.name}", work, self._began)

    def _began(self, task: Task) -> None:
        if task.error is not None:
            self._say_html(error_html("the recording", task.error))
        elif task.result.running:
            self._recording = task.result
            self._view = LiveView(task.result, 0.3)
            self.live.children = [self._view]
            self._say(f"recording: {task.result.source}")

    def _end(self) -> None:
        recording = self._recording
        if recording is None or self._task is not None:
            return
        self._say("ending …")
        self._do("panel-record-end", lambda _task: recording.stop(), self._ended)

    def _ended(self, task: Task) -> None:
        if task.error is not None:
            self._note(f"the recording: {task.error}")
        if self._recording is not None:
            self._take(self._recording)
        if task.error is not None:
            self._say_html(error_html("the recording", task.error))

    def _take(self, recording: Recording) -> None:
        """Draw what was recorded, in place of the live view."""
        self._recording = None
        view, self._view = self._view, None
        try:
            self.traffic = recording.traffic()
            what = "overview" if self.traffic.cache is None else "transactions"
            self.picture.value = png(self.traffic.plot(what))
            self.picture.layout.display = None
            self._say("recorded; it is panel.traffic in code")
        except Exception as error:  # noqa: BLE001 - shown, whatever it is
            self._say_html(error_html("the recording", error))
        self.live.children = []
        if view is not None:
            view.close()
        self._note("recording ended")

    def _cache_problem(self, lab: Lab | None) -> str:
        if not (size := self.cache.value.strip()):
            return ""
        if lab is not None and (not lab.spec.trace or self.source.value == "samples"):
            return "a cache takes a trace: start the lab with trace, and choose the source trace or auto"
        try:
            cache = Cache(size)
            if lab is not None:
                cache.check_fits(lab.spec.fam_size)
        except SpecError as error:
            return str(error)
        return ""

    def _say(self, words: str) -> None:
        self._say_html(muted(words))

    def _say_html(self, html: str) -> None:
        self._status = html
        self.status.value = html


def _granule_problem(granule: str) -> str:
    try:
        size = parse_size(granule.strip(), "granule")
    except SpecError as error:
        return str(error)
    # What both a trace and samples can have.
    if not FINEST_GRANULE <= size <= CONTROL_SIZE or size & (size - 1):
        room = f"{FINEST_GRANULE} to {format_size(CONTROL_SIZE)}"
        return f"granule is {format_size(size)}: give a power of two from {room}"
    return ""
