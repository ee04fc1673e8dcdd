"""Remove widgets from the kernel, with the widgets inside them."""

from __future__ import annotations

from typing import Any

import ipywidgets

__all__ = ["close_tree"]


def close_tree(widget: Any) -> None:
    """Close a widget, all in it, and the layout and style of each, which ipywidgets leaves open.

    None of them may be another's.
    """
    for child in getattr(widget, "children", ()):
        close_tree(child)
    for part in (getattr(widget, "layout", None), getattr(widget, "style", None)):
        if isinstance(part, ipywidgets.Widget):
            part.close()
    # Not its own close(), which may be what called this.
    ipywidgets.Widget.close(widget)
