"""The panel's log: actions and warnings, with their times."""

from __future__ import annotations

import collections
import logging
import time

import ipywidgets

from fame_lab.notebook.html import pre

__all__ = ["LogTab"]

_KEPT = 300


class LogTab(ipywidgets.HTML):  # type: ignore[misc] # ipywidgets publishes no types
    """The last lines, the newest first."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: collections.deque[str] = collections.deque(maxlen=_KEPT)
        self._new = False
        self._handler = _Handler(self)
        logging.getLogger("fame_lab").addHandler(self._handler)

    def note(self, line: str) -> None:
        """Add a line, which :meth:`show` shows."""
        # What is said again and again is kept once, with the time of the last.
        if self._lines and self._lines[0][10:] == line:
            self._lines.popleft()
        self._lines.appendleft(f"{time.strftime('%H:%M:%S')}  {line}")
        self._new = True

    def show(self) -> None:
        """Show what has been added."""
        if self._new:
            self._new = False
            self.value = pre("\n".join(self._lines))

    def close(self) -> None:
        """Stop listening, and go."""
        logging.getLogger("fame_lab").removeHandler(self._handler)
        super().close()


class _Handler(logging.Handler):
    def __init__(self, box: LogTab) -> None:
        super().__init__(logging.WARNING)
        self._box = box

    def emit(self, record: logging.LogRecord) -> None:
        self._box.note(f"{record.levelname.lower()}: {record.getMessage()}")
