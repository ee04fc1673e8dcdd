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

_tasks: weakref.WeakSet[Task] = weakref.WeakSet()


class Task:
    """A call on a thread of its own, which can be cancelled.

    When the kernel ends, the task is cancelled and has the time to leave nothing behind.

    Parameters
    ----------
    name : str
        Of its thread.
    do : callable
        Called with the task, to read its ``cancelled``. Commands in guests end by it anyway.
    after : callable
        Called with the task when it has ended, whether or not it failed, on its thread.
    listener : Listener, optional
        Called with the progress.
    """

    def __init__(
        self,
        name: str,
        do: Callable[[Task], Any],
        after: Callable[[Task], None],
        listener: Listener | None = None,
    ) -> None:
        self.cancelled = threading.Event()
        self.result: Any = None
        #: The exception that it ended with, if any.
        self.error: Exception | None = None
        self._do = do
        self._after = after
        self._listener = listener
        # A click arrives on a daemon thread, whose threads would be daemons too, and be cut off at exit.
        self._thread = threading.Thread(target=self._work, name=name, daemon=False)

    def start(self) -> Task:
        """Begin, and return at once."""
        _tasks.add(self)
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
        listening = listen(self._listener) if self._listener is not None else contextlib.nullcontext()
        try:
            with cancellable(self.cancelled), listening, short_switch_interval():
                self.result = self._do(self)
        except Exception as error:
            # The panel shows it, whatever it is.
            self.error = error
            log.debug("%s: %s", self._thread.name, error, exc_info=True)
        finally:
            _tasks.discard(self)
            self._after(self)


def _call_off_at_the_end() -> None:
    # Jupyter kills a kernel that takes too long to end.
    delegate_cleanup()
    for task in list(_tasks):
        task.cancel()


at_threads_end(_call_off_at_the_end)
