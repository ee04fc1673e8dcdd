"""The control panel: a lab chosen, started, watched, probed and stopped by widgets.

It is a face of the public surface. What takes its time goes on in threads
(:mod:`fame_lab.notebook.background_task`), and what nodes do is seen by one more
(:mod:`fame_lab.notebook.lab_poller`): the kernel stays free for other cells.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

import ipywidgets

from fame_lab.core.kernel_env import RUN_VARIABLE
from fame_lab.lab.lab import Lab
from fame_lab.notebook.command_tab import CommandTab
from fame_lab.notebook.console_tab import ConsoleTab
from fame_lab.notebook.dispose import close_tree
from fame_lab.notebook.doctor_tab import DoctorTab
from fame_lab.notebook.html import STYLE, error_html
from fame_lab.notebook.lab_poller import HostSnapshot, LabPoller
from fame_lab.notebook.lab_selector import NEW, LabSelector
from fame_lab.notebook.lab_session import LabSession
from fame_lab.notebook.log_tab import LogTab
from fame_lab.notebook.panel_html import facts_html, rows_html, title_html
from fame_lab.notebook.probe_tab import ProbeTab
from fame_lab.notebook.progress_line import ProgressLine
from fame_lab.notebook.spec_form import SpecForm
from fame_lab.notebook.subshell import answer_while_busy
from fame_lab.notebook.tab import button, when_pressed
from fame_lab.notebook.traffic_tab import TrafficTab
from fame_lab.results.result import Result
from fame_lab.traffic.traffic import Traffic

__all__ = ["Panel", "panel"]

log = logging.getLogger(__name__)

_panels: dict[str | None, Panel] = {}
_panels_lock = threading.Lock()


def panel(lab: Lab | None = None) -> Panel:
    """Return the control panel of a lab, or one in which a lab is chosen.

    There is one of each in a notebook: whoever asks again is given the same, which can be shown in several
    places. Without a lab it takes up the one that this notebook started before its kernel was restarted.

    Parameters
    ----------
    lab : Lab, optional

    Returns
    -------
    Panel
        A widget. ``.lab`` is the lab that it has, ``.result`` and ``.traffic`` what was measured last.

    Examples
    --------
    >>> import fame_lab
    >>> fame_lab.panel()  # doctest: +SKIP
    """
    key = None if lab is None else lab.spec.name
    with _panels_lock:
        shared = _panels.get(key)
        if shared is None or shared.closed or (lab is not None and shared.lab is not lab):
            if shared is not None:
                shared.close()
            shared = _panels[key] = Panel(lab)
        return shared


class Panel(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """See :func:`panel`.

    Parameters
    ----------
    lab : Lab, optional
        One whose spec is settled; it need not run yet.
    """

    def __init__(self, lab: Lab | None = None) -> None:
        self._session = LabSession(self, lab)
        # A lab that runs is seen at once, also where a still is all that is ever shown.
        self._snapshot = (
            HostSnapshot.of(lab.spec.name) if lab is not None and lab.is_running else HostSnapshot()
        )
        self._sought = lab is not None
        self._whole = False
        # Clicks, tasks that end and the poller come on threads of their own.
        self._lock = threading.RLock()
        self.closed = False

        self.journal = LogTab()
        self.title = ipywidgets.HTML()
        self.doctor = DoctorTab()
        self.choice = LabSelector(self._session.choose, self._session.clear_away)
        self.form = SpecForm(self._show)
        self.start = button("Start", "play", style="success")
        self.cancel = button("Cancel", "ban", style="warning")
        self.stop = button("Stop", "stop", style="danger")
        self.progress = ProgressLine()
        self.alert = ipywidgets.HTML()
        when_pressed(self.start, self._start, self.alert)
        when_pressed(self.cancel, self._cancel, self.alert)
        when_pressed(self.stop, self._session.stop, self.alert)
        self.facts = ipywidgets.HTML()
        self.rows = ipywidgets.HTML()
        self.commands = CommandTab(
            lambda: self._session.usable, self.journal.note, lambda: self._session.is_coming
        )
        self.probes = ProbeTab(lambda: self._session.usable, self.journal.note)
        self.recording = TrafficTab(lambda: self._session.usable, self.journal.note)
        self.consoles = ConsoleTab(lambda: self._session.usable, self.journal.note, self._session.node_is)
        self._boxes = (self.commands, self.probes, self.recording, self.consoles)
        self.tabs = ipywidgets.Tab(
            [*self._boxes, self.doctor, self.journal],
            titles=("Commands", "Probes", "Traffic", "Consoles", "Doctor", "Log"),
        )
        buttons = ipywidgets.HBox(
            [self.start, self.cancel, self.stop, self.progress],
            layout=ipywidgets.Layout(align_items="center"),
        )
        super().__init__(
            [
                *(
                    ipywidgets.HTML(STYLE),
                    self.title,
                    self.doctor.verdict,
                    self.choice,
                    self.form,
                    self.facts,
                ),
                *(buttons, self.alert, self.rows, self.tabs),
            ]
        )
        self.add_class("fame-panel")
        if lab is not None:
            self.form.show(lab.spec)
        answer_while_busy(self)
        self._whole = True
        self._show()
        self.doctor.look()
        self._poller = LabPoller(self._see)
        self._poller.look_at(None if lab is None else lab.spec.name)

    @property
    def lab(self) -> Lab | None:
        """The lab that it has, running or not; None if there is none."""
        return self._session.lab

    @property
    def result(self) -> Result | None:
        """What its probes measured last."""
        return self.probes.result

    @property
    def traffic(self) -> Traffic | None:
        """What it recorded last."""
        return self.recording.traffic

    def close(self) -> None:
        """Take it from the notebook; the lab that it has runs on."""
        if self.closed:
            return
        self.closed = True
        self._poller.close()
        self.end_boxes()
        self.journal.close()
        close_tree(self)

    # --- What is done ---

    def _start(self) -> None:
        self._session.start(self.form.spec())

    def _cancel(self) -> None:
        self.progress.say("cancelling …")
        self._session.cancel()

    def end_boxes(self) -> None:
        """End the tasks of the tabs, and wait for them."""
        for box in self._boxes:
            box.stop()

    def began(self, doing: str) -> None:
        """Show that something has begun with the lab."""
        self.alert.value = ""
        self.journal.note(f"{doing} …")
        self.progress.begin(f"{doing} …")
        self._show()

    def came_to(self, done: int, total: int, words: str) -> None:
        """Show how far it is."""
        self.journal.note(words)
        self._look_at_ours()
        self.progress.hear(done, total, words)

    def ended(self, words: str, doing: str, error: Exception | None) -> None:
        """Show what came of it."""
        if error is not None:
            self.alert.value = error_html(doing, error)
            self.journal.note(f"{doing}: {error}")
        if words:
            self.journal.note(words)
        if (lab := self.lab) is not None and lab.is_running:
            self.form.show(lab.spec)
        self.progress.end(words)
        self._look_at_ours()
        self._poller.look_now()
        self._show()

    # --- What is shown ---

    def _look_at_ours(self) -> None:
        lab = self.lab
        self._poller.look_at(None if lab is None else lab.spec.name)

    def _see(self, snapshot: HostSnapshot) -> None:
        """Show a snapshot; release a lab that others have ended, attach to one from before a restart."""
        self._snapshot = snapshot
        self.journal.show()
        lab, idle = self.lab, not self._session.doing
        if idle and not snapshot.error:
            if lab is not None and lab.is_running:
                if snapshot.lab == lab.spec.name and not snapshot.lab_is_there:
                    self._session.lost()
            elif not self._sought and lab is None:
                self._sought = True
                ours = [entry.name for entry in snapshot.labs if self.choice.was_ours(entry)]
                if len(ours) == 1:
                    self._session.choose(ours[0])
        self._show()

    def _show(self) -> None:
        if not self._whole or self.closed:
            return
        with self._lock:
            session, snapshot = self._session, self._snapshot
            lab, doing, is_running = session.lab, session.doing, session.is_running
            fixed = session.fixed is not None
            self.title.value = title_html(lab, doing)
            self.choice.show(snapshot.labs, _name(lab) if is_running else NEW, fixed=fixed, idle=not doing)
            self._show_form(editable=not doing and not is_running and not fixed, shown=not is_running)
            self.facts.value = facts_html(lab.spec) if lab is not None and is_running else ""
            problems = {} if fixed or is_running else self.form.problems
            self.start.disabled = bool(doing or is_running or problems)
            self.cancel.disabled = doing != "starting"
            self.stop.disabled = bool(doing or not is_running)
            self.progress.wait_for("" if doing or not problems else f"Start waits for: {self.form.waits_for}")
            self.rows.value = rows_html(session, snapshot)
            for box in self._boxes:
                box.show()

    def _show_form(self, *, editable: bool, shown: bool) -> None:
        ours = _name(self.lab) if self._session.doing or self._session.is_running else NEW
        self.form.take_names([entry.name for entry in self._snapshot.labs if entry.name != ours])
        self.form.disable(not editable)
        self.form.layout.display = None if shown else "none"

    def _repr_mimebundle_(self, **words: Any) -> Any:
        still = {"text/html": self._still(), "text/plain": repr(self)}
        # Nobody could press a button in a notebook that is executed for a report.
        if RUN_VARIABLE in os.environ:
            return still
        bundle = super()._repr_mimebundle_(**words)
        data, more = bundle if isinstance(bundle, tuple) else (bundle, {})
        # Beside the widget: for a page that is made of the notebook, where no widget lives.
        return (None if data is None else data | still), more

    def _still(self) -> str:
        return "\n".join((STYLE, self.title.value, self.facts.value, self.rows.value))

    def __repr__(self) -> str:
        return f"<Panel: {self._session.doing or 'idle'}, {self.lab!r}>"


def _name(lab: Lab | None) -> str:
    return NEW if lab is None else lab.spec.name
