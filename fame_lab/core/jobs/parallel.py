"""Something done on several nodes at once, and ended on all of them together."""

from __future__ import annotations

import concurrent.futures
import contextvars
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from fame_lab.core.jobs.cancellation import cancellable

__all__ = ["each"]

T = TypeVar("T")
N = TypeVar("N", bound="Named")


class Named(Protocol):
    """A node, of which only its name is needed here."""

    @property
    def name(self) -> str:
        """The key of its result."""


def each(lab: str, nodes: Sequence[N], do: Callable[[N], T]) -> dict[str, T]:
    """Call a function with each of several nodes, in a thread and a copy of this context each.

    See :meth:`fame_lab.Lab.each`.

    Parameters
    ----------
    lab : str
        The lab's name, which the threads bear.
    nodes : sequence of Node
    do : callable
    """
    interrupted = threading.Event()
    with (
        cancellable(interrupted),
        concurrent.futures.ThreadPoolExecutor(max(len(nodes), 1), f"run-{lab}") as pool,
    ):
        futures = {node.name: pool.submit(contextvars.copy_context().run, do, node) for node in nodes}
        try:
            concurrent.futures.wait(futures.values())
        except BaseException:
            # Ctrl-C is not to wait for commands that may never end.
            interrupted.set()
            raise
    return {name: future.result() for name, future in futures.items()}
