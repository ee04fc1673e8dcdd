"""Clicks that are heard while a cell runs."""

from __future__ import annotations

from typing import Any

import ipywidgets

__all__ = ["answer_while_busy"]


def answer_while_busy(widget: Any) -> None:
    """Set a widget and all in it to take their messages on the shell that the page sends them to.

    JupyterLab sends widgets' messages over a subshell, a thread beside the one that runs cells, and ipykernel
    7 takes them back to the shell that made the widget: a click on Cancel would wait for the end of a cell.
    What decides that is a method of its comms which is nobody's promise: where it is named otherwise, clicks
    wait, and nothing else is lost.
    """
    if widget.comm is not None:
        widget.comm._reply_subshell_for = lambda _data, asked: asked
    for child in getattr(widget, "children", ()):
        if isinstance(child, ipywidgets.Widget):
            answer_while_busy(child)
