"""Standard input of the command line, passed on to what runs in nodes."""

from __future__ import annotations

import os
import queue
import select
import sys
import threading
from collections.abc import Iterator, Sequence

from fame_lab.errors import HostError

__all__ = ["StandardInput"]

_PIECE = 1 << 16
#: Pieces that wait for a node at most: the slowest one decides how fast the input is read.
_WAITING = 16
#: Seconds between two looks at whether anybody still reads.
_POLL_INTERVAL = 0.1


class StandardInput:
    """A file descriptor that is read once, for each of several nodes.

    It is read when the first command has begun, and no further once all have ended.

    Parameters
    ----------
    descriptor : int
    nodes : sequence of str
        Their names.
    """

    def __init__(self, descriptor: int, nodes: Sequence[str]) -> None:
        self._descriptor = descriptor
        self._queues: dict[str, queue.Queue[bytes | OSError]] = {
            node: queue.Queue(_WAITING) for node in nodes
        }
        self._reading = False
        self._lock = threading.Lock()

    @classmethod
    def of_this_process(cls, nodes: Sequence[str]) -> StandardInput | None:
        """Return this process's; None if it has none, or a terminal: no command is to wait for a keyboard."""
        try:
            descriptor = sys.stdin.fileno()
            return None if os.isatty(descriptor) else cls(descriptor, nodes)
        except (AttributeError, OSError, ValueError):
            return None

    def pieces(self, node: str) -> Iterator[bytes]:
        """Yield what comes, for one node, until its end or :meth:`end`.

        Raises
        ------
        HostError
            If it cannot be read.
        """
        self._begin()
        while (queue_ := self._queues.get(node)) is not None:
            try:
                piece = queue_.get(timeout=_POLL_INTERVAL)
            except queue.Empty:
                continue
            if isinstance(piece, OSError):
                raise HostError(f"cannot read standard input: {piece.strerror}") from piece
            if not piece:
                return
            yield piece

    def end(self, node: str) -> None:
        """Release a node: nothing is read for it any more."""
        with self._lock:
            self._queues.pop(node, None)

    def _begin(self) -> None:
        with self._lock:
            if not self._reading:
                self._reading = True
                threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        piece: bytes | OSError = b"."
        while isinstance(piece, bytes) and piece and self._queues:
            try:
                # Looked at before it is read: what no command has asked for is somebody else's.
                if not select.select([self._descriptor], [], [], _POLL_INTERVAL)[0]:
                    continue
                piece = os.read(self._descriptor, _PIECE)
            except OSError as error:
                piece = error
            for node in list(self._queues):
                self._give(node, piece)

    def _give(self, node: str, piece: bytes | OSError) -> None:
        while (queue_ := self._queues.get(node)) is not None:
            try:
                queue_.put(piece, timeout=_POLL_INTERVAL)
                return
            except queue.Full:
                continue
