"""The panel's one lab: started, attached, detached, stopped, on a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from fame_lab.lab.lab import Lab
from fame_lab.notebook.background_task import Task
from fame_lab.notebook.lab_selector import NEW
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["LabSession", "SessionView"]


class SessionView(Protocol):
    """What shows a session; called from any thread."""

    def began(self, doing: str) -> None:
        """Show that something has begun."""

    def came_to(self, done: int, total: int, words: str) -> None:
        """Show how far it is."""

    def ended(self, words: str, doing: str, error: Exception | None) -> None:
        """Show what came of it."""

    def end_boxes(self) -> None:
        """End whatever uses the lab, and wait for it."""


class LabSession:
    """A lab, or none yet, and the current action on it.

    Parameters
    ----------
    face : SessionView
    lab : Lab, optional
        The only one that it may ever have.
    """

    def __init__(self, face: SessionView, lab: Lab | None = None) -> None:
        self._face = face
        self.fixed = lab
        self.lab = lab
        #: What goes on, in a word; empty for nothing.
        self.doing = ""
        #: By the node's name, how far it has come, of a lab that was started here.
        self.stages: dict[str, str] = {}
        self._task: Task | None = None
        # Clicks and the ends of tasks come on several threads.
        self._lock = threading.RLock()

    @property
    def is_running(self) -> bool:
        """Whether a lab runs here, whatever is being done with it."""
        return self.lab is not None and self.lab.is_running

    @property
    def is_coming(self) -> bool:
        """Whether a lab is being started or taken up."""
        return self.doing in ("starting", "attaching")

    @property
    def usable(self) -> Lab | None:
        """The lab, if commands can be given to it."""
        return self.lab if self.is_running and not self.is_coming and self.doing != "stopping" else None

    def start(self, spec: LabSpec) -> None:
        """Start a lab of that spec, or the one that it may have."""
        lab = self.fixed if self.fixed is not None else Lab(spec, progress=False)
        names = lab.spec.node_names

        def tell(who: str, stage: str) -> None:
            if who in self.stages:
                self.stages[who] = stage
            ready = sum(each == "ready" for each in self.stages.values())
            self._face.came_to(ready, len(names), f"{who} {stage}")

        def work(task: Task) -> None:
            self.lab, self.stages = lab, dict.fromkeys(names, "waiting")
            lab.start(cancelled=task.cancelled, tell=tell)
            if task.cancelled.is_set():
                lab.stop()  # called off in the very moment that it was whole

        def after(task: Task) -> str:
            if lab.is_running:
                return f"{lab.spec.name} is ready"
            self._have(self.fixed)
            return "cancelled; nothing is left of it" if task.cancelled.is_set() else "not started"

        self._do("starting", work, after)

    def node_is(self, node: str, stage: str) -> None:
        """Take the stage of a node that boots anew."""
        self.stages[node] = stage

    def stop(self) -> None:
        """Stop the lab, and before it all that uses it."""

        def work(_task: Task) -> None:
            self._face.end_boxes()
            if self.lab is not None:
                self.stages = dict.fromkeys(self.lab.spec.node_names, "stopping")
                self.lab.stop()

        self._do("stopping", work, lambda task: self._without(task, "stopped; nothing is left of it"))

    def cancel(self) -> None:
        """Cancel the current task, if there is one."""
        if (task := self._task) is not None:
            task.cancel()

    def choose(self, name: str) -> None:
        """Attach to a lab that runs, or to none; the lab before runs on."""

        def work(_task: Task) -> Lab | None:
            self._face.end_boxes()
            before, self.lab = self.lab, None
            if before is not None:
                before.detach()
            return None if name == NEW else Lab.attach(name)

        def after(task: Task) -> str:
            self._have(task.result)
            return f"attached to {name}" if self.lab is not None else ""

        self._do("attaching", work, after)

    def lost(self) -> None:
        """Release a lab that somebody else has ended."""
        name = self.lab.spec.name if self.lab is not None else ""

        def work(_task: Task) -> None:
            self._face.end_boxes()
            if self.lab is not None:
                self.lab.detach()

        self._do("letting go", work, lambda task: self._without(task, f"{name} was ended elsewhere"))

    def clear_away(self, names: list[str]) -> None:
        """Remove what killed starts and dead labs have left."""

        def work(_task: Task) -> list[str]:
            return [entry.name for entry in Lab.list() if entry.name in names and entry.end_if_orphan()]

        self._do("clearing away", work, lambda task: f"cleared away: {', '.join(task.result or ['nothing'])}")

    def _have(self, lab: Lab | None) -> None:
        self.lab, self.stages = lab, {}

    def _without(self, task: Task, words: str) -> str:
        if task.error is not None:
            self.stages = {}
            return ""
        self._have(self.fixed)
        return words

    def _do(self, doing: str, work: Callable[[Task], Any], after: Callable[[Task], str]) -> None:
        """Begin, unless a task runs; `after` sets the lab and returns the words to show."""

        def ended(task: Task) -> None:
            with self._lock:
                words = after(task)
                self._task, self.doing = None, ""
            called_off = task.cancelled.is_set() and not self.is_running
            self._face.ended(words, doing, None if called_off else task.error)

        with self._lock:
            if self._task is not None:
                return
            self.doing = doing
            self._task = task = Task(f"panel-{doing.replace(' ', '-')}", work, ended)
        self._face.began(doing)
        task.start()
