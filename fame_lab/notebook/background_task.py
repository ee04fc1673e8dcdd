"""A long task on a thread of its own, so that no cell waits for it."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - which asks first, and so is asked last
import contextlib
import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any

from fame_lab.core.compat import at_threads_end
from fame_lab.core.jobs.cancellation import cancellable
from fame_lab.core.jobs.progress import Listener, listen
from fame_lab.lab.reaper import delegate_cleanup
from fame_lab.notebook.switch_interval import short_switch_interval

__all__ = ["Task"]

log = logging.getLogger(__name__)

_running: weakref.WeakSet[Task] = weakref.WeakSet()


class Task:
    """Does something, once, and can be called off.

    When the kernel ends, it is called off and has the time to leave nothing behind.

    Parameters
    ----------
    name : str
        Of its thread.
    do : callable
        Given the task itself, whose ``cancelled`` it may look at; commands that it runs in guests do so.
    after : callable
        Given the task when it has ended, whatever came of it; on its thread.
    heard : Listener, optional
        Told how far it is.
    """

    def __init__(
        self,
        name: str,
        do: Callable[[Task], Any],
        after: Callable[[Task], None],
        heard: Listener | None = None,
    ) -> None:
        self.cancelled = threading.Event()
        self.result: Any = None
        #: What it ended with, if it did not do what it was to do.
        self.error: Exception | None = None
        self._do = do
        self._after = after
        self._heard = heard
        # A click is heard on a daemon, whose threads are daemons too, which nobody waits for at the end.
        self._thread = threading.Thread(target=self._work, name=name, daemon=False)

    def start(self) -> Task:
        """Begin, and return at once."""
        _running.add(self)
        self._thread.start()
        return self

    def cancel(self) -> None:
        """Call it off; it has ended once `after` is called."""
        self.cancelled.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for its end, `timeout` seconds at most; say whether it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        heard = listen(self._heard) if self._heard is not None else contextlib.nullcontext()
        try:
            with cancellable(self.cancelled), heard, short_switch_interval():
                self.result = self._do(self)
        except Exception as error:
            # Whatever it is, it is shown to whoever pressed the button.
            self.error = error
            log.debug("%s: %s", self._thread.name, error, exc_info=True)
        finally:
            _running.discard(self)
            self._after(self)


def _call_off_at_the_end() -> None:
    # Jupyter kills a kernel that takes too long to end.
    delegate_cleanup()
    for task in list(_running):
        task.cancel()


at_threads_end(_call_off_at_the_end)
