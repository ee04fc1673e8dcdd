"""Progress on one line: a bar, the current step, the time since the start."""

from __future__ import annotations

import time

import ipywidgets

from fame_lab.core.html import render
from fame_lab.notebook.html import muted

__all__ = ["ProgressLine"]

#: Seconds between two messages to the page: faster ones cannot be read.
_BEAT = 0.1


class ProgressLine(ipywidgets.HBox):  # type: ignore[misc] # ipywidgets publishes no types
    """A bar that is there while something goes on, and words beside it."""

    def __init__(self) -> None:
        self.bar = ipywidgets.IntProgress(
            min=0, max=1, layout=ipywidgets.Layout(width="14em", flex="none", display="none")
        )
        self.words = ipywidgets.HTML(layout=ipywidgets.Layout(flex="1 1 auto", min_width="0"))
        self._began = 0.0
        self._updated_at = 0.0
        #: What it says.
        self.said = ""
        super().__init__([self.bar, self.words])

    def begin(self, words: str) -> None:
        """Show that something has begun."""
        self._began = time.monotonic()
        self.bar.value, self.bar.max, self.bar.bar_style = 0, 1, "info"
        self.bar.layout.display = None
        self.say(words)

    def hear(self, done: int, total: int | None, words: str) -> None:
        """Show how far it is; see :class:`fame_lab.core.jobs.progress.Listener`."""
        now = time.monotonic()
        if now < self._updated_at + _BEAT and done != total:
            return
        self._updated_at = now
        if total:
            self.bar.max, self.bar.value = total, min(done, total)
        count = f"{done} of {total}" if total else f"{done}" if done else ""
        self.say(" · ".join(part for part in (count, words, f"{now - self._began:.0f} s") if part))

    def end(self, words: str) -> None:
        """Show what it came to."""
        self.bar.layout.display = "none"
        self.say(words)

    def wait_for(self, words: str) -> None:
        """Show what is to be done first; the words before come back afterwards."""
        if words:
            self.words.value = render('<span class="fame-reason">{{ words }}</span>', words=words)
        else:
            self.say(self.said)

    def hint(self, words: str) -> None:
        """Show what could be done first, as :meth:`wait_for` does, with less weight."""
        self.words.value = muted(words or self.said)

    def say(self, words: str) -> None:
        """Show words alone."""
        self.said = words
        self.words.value = muted(words)
