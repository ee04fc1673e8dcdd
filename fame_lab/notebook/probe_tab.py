"""The panel's probes: their parameters, checked as they are typed, a run of one, and its plot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets

from fame_lab import probes
from fame_lab.errors import SpecError
from fame_lab.lab.lab import Lab
from fame_lab.notebook.background_task import Task
from fame_lab.notebook.dispose import close_tree
from fame_lab.notebook.html import error_html, hidden_picture, muted, reason, reason_html
from fame_lab.notebook.progress_line import ProgressLine
from fame_lab.notebook.subshell import answer_while_busy
from fame_lab.notebook.tab import LabTab, button
from fame_lab.probes.common.parameters import Parameter, parameters
from fame_lab.results.notebook_figure import png
from fame_lab.results.result import Result

__all__ = ["ProbeTab"]

_WIDE = {"width": "16em", "flex": "none"}


class ProbeTab(LabTab):
    """Chooses a probe, runs it and draws it.

    Parameters
    ----------
    lab, note : callable
        As of :class:`fame_lab.notebook.tab.LabTab`.
    """

    def __init__(self, lab: Callable[[], Lab | None], note: Callable[[str], None]) -> None:
        super().__init__(lab, note)
        self._name = ""
        self._invalid: set[str] = set()
        self._fields: dict[str, tuple[Parameter, Any, ipywidgets.HTML]] = {}
        #: What was measured last.
        self.result: Result | None = None
        self.probe = ipywidgets.Dropdown(options=probes.names(), value="chase", layout=_WIDE)
        self.run = button("Run", "play")
        self.cancel = button("Cancel", "ban")
        self.about = ipywidgets.HTML()
        self.parameters = ipywidgets.VBox()
        self.progress = ProgressLine()
        self.outcome = ipywidgets.HTML()
        self.picture = hidden_picture()
        folded = ipywidgets.Accordion([self.parameters], titles=("parameters",), selected_index=None)
        self.children = [
            ipywidgets.HBox([self.probe, self.run, self.cancel]),
            *(self.about, folded, self.progress, self.alert, self.picture, self.outcome),
        ]
        self.probe.observe(self._chosen, "value")
        self._on(self.run, self._begin)
        self._on(self.cancel, self._cancel)
        self._chosen()

    def show(self) -> None:
        """Show what can be done now."""
        lab, busy = self._lab(), self._task is not None
        self.run.disabled = lab is None or busy or bool(self._invalid)
        self.probe.disabled = busy
        self.cancel.layout.display = None if busy else "none"
        if not busy:
            self.progress.hint("" if lab is not None else "Start a lab, or attach to one, first.")

    def _chosen(self, *_: object) -> None:
        first = (probes.family(self.probe.value).__doc__ or "").strip().partition("\n")[0]
        self.about.value = muted(first)
        before = self.parameters.children
        self._invalid.clear()
        self._fields = {each.name: (each, _widget(each), reason()) for each in parameters(self.probe.value)}
        for each, widget, _ in self._fields.values():
            widget.observe(lambda _, name=each.name: self._look(name), "value")
        self.parameters.children = [
            ipywidgets.HBox([ipywidgets.Label(name, layout=ipywidgets.Layout(width="8em")), widget, why])
            for name, (_, widget, why) in self._fields.items()
        ]
        answer_while_busy(self.parameters)
        for row in before:
            close_tree(row)
        for name in self._fields:
            self._look(name)

    def _look(self, name: str) -> None:
        each, widget, why = self._fields[name]
        try:
            each.read(widget.value)
            why.value = muted(f"{each.takes}. {each.words}" if each.words else each.takes)
            self._invalid.discard(name)
        except SpecError as error:
            why.value = reason_html(str(error))
            self._invalid.add(name)
        self.show()

    def _begin(self) -> None:
        lab, name = self._lab(), self.probe.value
        if lab is None or self._task is not None:
            return
        arguments = {
            each.name: each.read(widget.value)
            for each, widget, _ in self._fields.values()
            if widget.value.strip() not in ("", each.text)
        }
        words = ", ".join([repr(name), *(f"{key}={value!r}" for key, value in arguments.items())])
        self._note(f"lab.probe({words})")
        self.outcome.value = ""
        self.picture.layout.display = "none"
        self._name = name
        self.progress.begin(f"{name} …")

        def work(_task: Task) -> tuple[Result, bytes, str]:
            result = lab.probe(name, **arguments)
            self.progress.say("drawing …")
            return result, png(result.plot()), result._repr_html_()

        self._do(f"panel-probe-{lab.spec.name}", work, self._ended, self.progress.hear)

    def _ended(self, task: Task) -> None:
        name = self._name
        if task.error is None:
            self.result, self.picture.value, self.outcome.value = task.result
            self.picture.layout.display = None
            outcome = f"{name} done; it is panel.result in code"
        elif task.cancelled.is_set():
            outcome = f"{name} was cancelled; nothing of it goes on"
        else:
            outcome = f"{name} failed"
            self.alert.value = error_html(name, task.error)
        self._note(outcome)
        self.progress.end(outcome)


def _widget(each: Parameter) -> Any:
    if each.choices:
        return ipywidgets.Dropdown(options=each.choices, value=each.text, layout=_WIDE)
    return ipywidgets.Text(
        value=each.text, placeholder="the probe's choice", continuous_update=True, layout=_WIDE
    )
