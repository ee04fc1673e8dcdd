"""A part of the panel that does one thing at a time with the lab."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import ipywidgets

from fame_lab.core.jobs.progress import Listener
from fame_lab.lab.lab import Lab
from fame_lab.notebook.background_task import Task
from fame_lab.notebook.html import error_html

__all__ = ["LabTab", "button", "when_pressed"]

log = logging.getLogger(__name__)


class LabTab(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """A tab with at most one task; each subclass adds its widgets.

    Parameters
    ----------
    lab : callable
        Gives the lab, or None while none runs.
    note : callable
        Called with a line for the log.
    """

    def __init__(self, lab: Callable[[], Lab | None], note: Callable[[str], None]) -> None:
        super().__init__()
        self._lab = lab
        self._note = note
        self._task: Task | None = None
        # Two pages of one notebook may click at once.
        self._one_at_a_time = threading.Lock()
        self.alert = ipywidgets.HTML()

    def show(self) -> None:
        """Show what can be done now."""
        raise NotImplementedError

    def stop(self) -> None:
        """Call off what goes on, and wait for its end."""
        if (task := self._task) is not None:
            task.cancel()
            task.join()

    def _on(self, pressed: Any, do: Callable[[], None]) -> None:
        when_pressed(pressed, do, self.alert)

    def _cancel(self) -> None:
        if (task := self._task) is not None:
            task.cancel()

    def _do(
        self,
        name: str,
        work: Callable[[Task], Any],
        after: Callable[[Task], None],
        listener: Listener | None = None,
    ) -> None:
        """Begin, unless a task runs; `after` shows its outcome."""

        def ended(task: Task) -> None:
            try:
                after(task)
            except Exception as error:
                log.debug("%s", name, exc_info=True)
                self.alert.value = error_html("what came of it", error)
            finally:
                self._task = None
                self.show()

        with self._one_at_a_time:
            if self._task is not None:
                return
            self._task = task = Task(name, work, ended, listener)
        self.alert.value = ""
        self.show()
        task.start()


def button(words: str, icon: str, width: str = "7em", style: str = "") -> Any:
    """Make a button."""
    return ipywidgets.Button(
        description=words,
        icon=icon,
        button_style=style,
        layout=ipywidgets.Layout(width=width, flex="none"),
    )


def when_pressed(pressed: Any, do: Callable[[], None], alert: Any) -> None:
    """Connect a button with a function, whose errors are shown in `alert`."""

    def clicked(_: Any) -> None:
        try:
            do()
        except Exception as error:
            log.debug("a button", exc_info=True)
            alert.value = error_html("the button", error)

    pressed.on_click(clicked)
