"""The panel's consoles: a node's serial line, and its restart."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import ipywidgets

from fame_lab.core.html import render
from fame_lab.errors import FameError
from fame_lab.lab.lab import Lab
from fame_lab.lab.node import Node
from fame_lab.notebook.background_task import Task
from fame_lab.notebook.html import error_html, muted, pre_from_its_end
from fame_lab.notebook.tab import LabTab, button

__all__ = ["ConsoleTab"]

_WAY_IN = '<span class="fame-faint">from a shell:</span> <code>{{ words }}</code>'


class ConsoleTab(LabTab):
    """Shows the end of one node's console as it grows, and boots the node anew.

    Parameters
    ----------
    lab, note : callable
        As of :class:`fame_lab.notebook.tab.LabTab`.
    node_is : callable
        Told the node's name and how far its restart is.
    """

    def __init__(
        self,
        lab: Callable[[], Lab | None],
        note: Callable[[str], None],
        node_is: Callable[[str, str], None],
    ) -> None:
        super().__init__(lab, note)
        self._node_is = node_is
        self._node: Node | None = None
        self.node = ipywidgets.Dropdown(options=["node01"], layout=ipywidgets.Layout(width="9em"))
        self.restart = button("Restart node", "refresh", "10em")
        self.status = ipywidgets.HTML()
        self.ssh = ipywidgets.HTML()
        self.console = ipywidgets.HTML()
        self.children = [
            ipywidgets.HBox([self.node, self.restart]),
            *(self.status, self.alert, self.ssh, self.console),
        ]
        self.node.observe(lambda _: self.show(), "value")
        self._on(self.restart, self._begin)
        self.show()

    def show(self) -> None:
        """Show what there is now."""
        lab = self._lab()
        names = list(lab.spec.node_names) if lab is not None else []
        if names and list(self.node.options) != names:
            self.node.options = names
        self.restart.disabled = lab is None or self._task is not None
        if lab is not None:
            node = lab.node(self.node.value)
            self.console.value = pre_from_its_end(node.console())
            self._show_way_in(node)

    def _show_way_in(self, node: Node) -> None:
        # QEMU is asked for the port, which is slow: once for each life of a node.
        if node is self._node:
            return
        try:
            words = shlex.join(node.ssh_command)
        except FameError:
            return  # it is gone, or coming
        self._node = node
        self.ssh.value = render(_WAY_IN, words=words)

    def _begin(self) -> None:
        lab, name = self._lab(), self.node.value
        if lab is None or self._task is not None:
            return
        self._note(f"lab.node({name!r}).restart()")
        self.status.value = muted(f"{name} boots anew, into the same FAM …")

        def work(task: Task) -> None:
            lab.node(name).restart(cancelled=task.cancelled, tell=self._node_is)

        self._do(f"panel-restart-{lab.spec.name}", work, self._ended)

    def _ended(self, task: Task) -> None:
        self._node = None
        if task.error is not None:
            self.status.value = error_html("the restart", task.error)
        else:
            self.status.value = muted("it is up again")
