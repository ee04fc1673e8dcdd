"""The panel's commands: one command on one node or on all, and its results."""

from __future__ import annotations

import collections
from collections.abc import Callable

import ipywidgets

from fame_lab.errors import FameError
from fame_lab.guest.ssh.run_result import run_html
from fame_lab.lab.lab import Lab
from fame_lab.lab.node import Node
from fame_lab.notebook.background_task import Task
from fame_lab.notebook.html import error_html, muted, note_html
from fame_lab.notebook.tab import LabTab, button

__all__ = ["CommandTab"]

ALL = "all nodes"
#: Commands whose outcome is shown.
_MAX_OUTCOMES = 20


class CommandTab(LabTab):
    """Runs what is typed.

    Parameters
    ----------
    lab, note : callable
        As of :class:`fame_lab.notebook.tab.LabTab`.
    coming : callable
        Whether a lab is being started or taken up.
    """

    def __init__(
        self,
        lab: Callable[[], Lab | None],
        note: Callable[[str], None],
        coming: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(lab, note)
        self._coming = coming
        self._queued = False
        self._hint = ""
        self._of: Lab | None = None
        self._outcomes: collections.deque[str] = collections.deque(maxlen=_MAX_OUTCOMES)
        self.where = ipywidgets.Dropdown(options=[ALL], layout=ipywidgets.Layout(width="9em"))
        self.command = ipywidgets.Text(
            placeholder="a command for the node's shell, such as lspci -v",
            continuous_update=True,
            layout=ipywidgets.Layout(flex="1 1 12em", width="auto"),
        )
        self.run = button("Run", "play")
        self.cancel = button("Cancel", "ban")
        self.status = ipywidgets.HTML()
        self.output = ipywidgets.HTML()
        self.children = [
            ipywidgets.HBox([self.where, self.command, self.run, self.cancel]),
            *(self.status, self.alert, self.output),
        ]
        self._on(self.run, self._begin)
        self._on(self.cancel, self._cancel)
        # The event that Enter brings, which has no other name in ipywidgets.
        self.command.on_msg(lambda _widget, content, _buffers: self._entered(content))
        self.show()

    def show(self) -> None:
        """Show what can be done now."""
        lab, busy = self._lab(), self._task is not None
        if self._queued and (lab is not None or not self._coming()):
            self._queued = False
            if lab is not None:
                self._begin()
                return
        if lab is not None and lab is not self._of:
            # Nodes of another lab have the same names, so its outcomes would seem to be this lab's.
            self._of = lab
            self._outcomes.clear()
            self.output.value = ""
        names = [ALL, *(lab.spec.node_names if lab is not None else ())]
        if list(self.where.options) != names:
            self.where.options = names
        self.run.disabled = lab is None or busy
        self.cancel.layout.display = None if busy else "none"
        if not busy:
            none = (
                "It runs once the lab is there." if self._queued else "Start a lab, or attach to one, first."
            )
            self.status.value = muted(self._hint if lab is not None else none)

    def _entered(self, content: object) -> None:
        if isinstance(content, dict) and content.get("event") == "submit":
            self._begin()

    def _begin(self) -> None:
        lab, command, where = self._lab(), self.command.value, self.where.value
        if lab is None:
            # Its nodes may be ready a moment before the lab is. A command that is typed then waits.
            self._queued = self._coming()
            self.show()
            return
        if self._task is not None:
            return
        if not command.strip():
            self._hint = "Type a command first."
            self.show()
            return
        self._hint = ""
        self._note(f"{where}: {command}")
        self.status.value = muted(f"running on {where} …")

        def work(task: Task) -> dict[str, str]:
            nodes = lab.nodes if where == ALL else (lab.node(where),)
            return lab.each(nodes, lambda node: _outcome(node, command, task))

        self._do(f"panel-command-{lab.spec.name}", work, self._ended)

    def _ended(self, task: Task) -> None:
        if task.error is not None:
            html = error_html("the command", task.error)
        else:
            html = "\n".join(task.result.values())
        self._outcomes.appendleft(html)
        self.output.value = "<hr>".join(self._outcomes)


def _outcome(node: Node, command: str, task: Task) -> str:
    """Return the result as HTML. An error of one node stands beside the results of the others."""
    try:
        return run_html(node.run(command, check=False))
    except FameError as error:
        return note_html(str(error)) if task.cancelled.is_set() else error_html("", error)
