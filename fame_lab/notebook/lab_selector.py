"""The labs of this host to choose from, and the leftovers of dead ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets

from fame_lab.core.kernel_env import this_notebook
from fame_lab.lab.inventory import LabStatus
from fame_lab.notebook.html import muted

__all__ = ["NEW", "LabSelector"]

#: The choice of no lab that is there.
NEW = ""


class LabSelector(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """A list of labs, and a button for orphans.

    Parameters
    ----------
    choose : callable
        Given the name that was chosen, or :data:`NEW`.
    clear_away : callable
        Given the names of orphans.
    """

    def __init__(self, choose: Callable[[str], None], clear_away: Callable[[list[str]], None]) -> None:
        self._choose = choose
        self._showing = False
        self._orphans: list[str] = []
        self.lab = ipywidgets.Dropdown(options=[("a new lab", NEW)], layout=ipywidgets.Layout(width="30em"))
        self.left = ipywidgets.HTML()
        self.clear = ipywidgets.Button(description="Clear away", icon="trash")
        self._orphan_row = ipywidgets.HBox([self.left, self.clear])
        self._choice = ipywidgets.HBox(
            [ipywidgets.Label("lab", layout=ipywidgets.Layout(width="7em")), self.lab]
        )
        super().__init__([self._choice, self._orphan_row])
        self.lab.observe(self._chosen, "value")
        self.clear.on_click(lambda _: clear_away(self._orphans))

    @staticmethod
    def can_attach(entry: LabStatus) -> bool:
        """Whether a person may take up that lab: all of it is up, and no report's run owns it."""
        return (
            entry.spec is not None
            and not entry.run
            and (entry.is_whole or not entry.is_orphan)
            and "starting" not in entry.states.values()
        )

    @classmethod
    def was_ours(cls, entry: LabStatus) -> bool:
        """Whether this notebook started it, perhaps by a kernel that is no more."""
        return cls.can_attach(entry) and bool(this_notebook()) and entry.notebook == this_notebook()

    def show(self, labs: Sequence[LabStatus], current: str, *, fixed: bool, idle: bool) -> None:
        """Show the labs that there are, and which of them the panel has."""
        specs = {entry.name: str(entry.spec) for entry in labs if self.can_attach(entry)}
        if current != NEW:
            specs.setdefault(current, current)
        options = [("a new lab", NEW), *((words, name) for name, words in specs.items())]
        self._showing = True
        try:
            if list(self.lab.options) != options:
                self.lab.options = options
            if self.lab.value != current:
                self.lab.value = current
        finally:
            self._showing = False
        self.lab.disabled = not idle
        self._choice.layout.display = "none" if fixed or len(options) == 1 else None
        self._orphans = [
            entry.name
            for entry in labs
            if entry.is_orphan and not self.can_attach(entry) and entry.name != current
        ]
        self.left.value = muted(f"left behind: {', '.join(self._orphans)}")
        self.clear.disabled = not idle
        self._orphan_row.layout.display = None if self._orphans and not fixed else "none"

    def _chosen(self, *_: object) -> None:
        if not self._showing:
            self._choose(self.lab.value)
