"""Answer clicks while a cell runs."""

from __future__ import annotations

from typing import Any

import ipywidgets

from fame_lab.core.compat import reply_on_asking_shell

__all__ = ["answer_while_busy"]


def answer_while_busy(widget: Any) -> None:
    """Set a widget and all in it to take their messages on the shell that the page sends them to."""
    if widget.comm is not None:
        reply_on_asking_shell(widget.comm)
    for child in getattr(widget, "children", ()):
        if isinstance(child, ipywidgets.Widget):
            answer_while_busy(child)
