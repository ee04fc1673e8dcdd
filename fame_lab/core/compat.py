"""Every use of a private name of another package. Each docstring says what is lost without that name."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

__all__ = ["at_threads_end", "channel_handlers", "kernel_stderr", "reply_on_asking_shell"]


def at_threads_end(call: Callable[[], None]) -> None:
    """Register a function for the interpreter's end, before it waits for threads.

    :mod:`atexit` comes after that wait. Executors of :mod:`concurrent.futures` register in this same way.
    Without ``threading._register_atexit`` a kernel that ends may leave half a lab, which
    ``Lab.list()`` shows.
    """
    if register := getattr(threading, "_register_atexit", None):
        register(call)


def kernel_stderr() -> TextIO | None:
    """Return the standard error that an IPython kernel started with; None outside a kernel.

    In a kernel, descriptor 2 leads to a thread of that very process, which dies before it passes anything on.
    Without ``_original_stdstream_copy`` of ipykernel's stream, a killed kernel does not report where it died.
    """
    stream: TextIO | None = getattr(sys.stderr, "_original_stdstream_copy", None)
    return stream


def reply_on_asking_shell(comm: Any) -> None:
    """Set a comm to handle its messages on the shell that they are sent to.

    JupyterLab sends widgets' messages over a subshell, a thread beside the one that runs cells. ipykernel 7
    takes them back to the shell that made the widget, by its comms' ``_reply_subshell_for``. Without that
    name a click on Cancel waits for the end of a cell.
    """
    comm._reply_subshell_for = lambda _data, shell: shell


def channel_handlers(transport: type[Any]) -> dict[int, Callable[..., Any]]:
    """Return paramiko's handlers of messages to a channel, by the message's number, for a subclass to wrap.

    Without ``Transport._channel_handler_table`` there is no connection: a guest could fill the host's memory.
    """
    return dict(transport._channel_handler_table)
