"""The panel's doctor: examined once, and again on request."""

from __future__ import annotations

import ipywidgets

from fame_lab.host.doctor.diagnosis import Diagnosis
from fame_lab.host.doctor.doctor import doctor
from fame_lab.notebook.background_task import Task
from fame_lab.notebook.html import error_html, muted

__all__ = ["DoctorTab"]


class DoctorTab(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """The verdict in a line, which stands elsewhere in the panel, and every check in this box."""

    def __init__(self) -> None:
        self.verdict = ipywidgets.HTML()
        self.again = ipywidgets.Button(description="Look again", icon="stethoscope")
        self.checks = ipywidgets.HTML()
        self._task: Task | None = None
        super().__init__([self.again, self.checks])
        self.again.on_click(lambda _: self.look())

    def look(self) -> None:
        """Begin to look, unless it does already."""
        if self._task is None:
            self.again.disabled = True
            self.verdict.value = muted("The doctor looks at this host …")
            self._task = Task("panel-doctor", lambda _task: doctor(), self._ended)
            self._task.start()

    def _ended(self, task: Task) -> None:
        self._task = None
        self.again.disabled = False
        if task.error is not None:
            self.verdict.value = error_html("the doctor", task.error)
            return
        diagnosis: Diagnosis = task.result
        self.verdict.value = muted(f"Doctor: {diagnosis.summary}")
        self.checks.value = diagnosis._repr_html_()
