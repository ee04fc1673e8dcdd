"""Output of a command in a guest, collected up to a size and a time that the host sets."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from typing import Protocol

from fame_lab.core.jobs.cancellation import is_cancelled
from fame_lab.core.sizes import MIB
from fame_lab.errors import SSHError

__all__ = ["MAX_OUTPUT", "Channel", "Sink", "collect"]

#: Bytes that a command may write, with both streams together.
MAX_OUTPUT = 64 * MIB
_CHUNK = 1 << 16
_PIPE_WAIT = 0.25
#: Seconds of silence after which a command without a timeout fails, if a fault that stops nodes is seen.
SILENCE = 60.0


class Channel(Protocol):
    """The part of an SSH channel that a running command needs."""

    @property
    def closed(self) -> bool:
        """Whether either side has closed it."""

    @property
    def eof_received(self) -> int:
        """Whether all output has come."""

    def fileno(self) -> int:
        """Return a descriptor that is readable while there is something to receive."""

    def recv_ready(self) -> bool:
        """Return whether standard output has come."""

    def recv(self, nbytes: int) -> bytes:
        """Return some of it."""

    def recv_stderr_ready(self) -> bool:
        """Return whether standard error has come."""

    def recv_stderr(self, nbytes: int) -> bytes:
        """Return some of them."""

    def exit_status_ready(self) -> bool:
        """Return whether it has ended."""


#: A function that takes a piece of output.
Sink = Callable[[bytes], None]


def collect(
    channel: Channel,
    what: str,
    timeout: float | None,
    trouble: Callable[[], str] = lambda: "",
    *,
    end: float | None = None,
    sink: Sink | None = None,
) -> tuple[bytes, bytes]:
    """Read both streams to their end, by turns: neither fills its window while the other is read.

    Parameters
    ----------
    channel : Channel
    what : str
        The node and its command, for messages.
    timeout : float, optional
        Seconds after which the command fails.
    trouble : callable
        Returns the fault that stops nodes, if one is seen. With a fault, a command without `timeout` fails
        after a minute of silence.
    end : float, optional
        The end of `timeout`, on the monotonic clock; by default the time begins here.
    sink : callable, optional
        Takes standard output, which is not kept then.

    Raises
    ------
    SSHError
        If there are more than 64 MiB to keep, it takes longer, or it is cancelled.
    """
    stdout, stderr = bytearray(), bytearray()
    if end is None and timeout is not None:
        end = time.monotonic() + timeout
    last_output = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        while True:
            selector.select(_PIPE_WAIT)
            # One piece of each a round: a guest that never pauses must not keep us from the checks below.
            if channel.recv_ready() or channel.recv_stderr_ready():
                last_output = time.monotonic()
            if channel.recv_ready():
                piece = channel.recv(_CHUNK)
                if sink is None:
                    stdout += piece
                else:
                    sink(piece)
            if channel.recv_stderr_ready():
                stderr += channel.recv_stderr(_CHUNK)
            if len(stdout) + len(stderr) > MAX_OUTPUT:
                raise SSHError(f"{what} says more than {MAX_OUTPUT >> 20} MiB; stopped")
            if is_cancelled():
                raise SSHError(f"{what} was called off")
            ended = channel.closed or (channel.eof_received and channel.exit_status_ready())
            if ended and not channel.recv_ready() and not channel.recv_stderr_ready():
                return bytes(stdout), bytes(stderr)
            if end is not None and time.monotonic() > end:
                raise SSHError(f"{what} takes longer than its {timeout:g} s; given up")
            if end is None and time.monotonic() > last_output + SILENCE and trouble():
                raise SSHError(f"{what} says nothing for {SILENCE:g} s; given up")
