"""Standard input of a command in a guest, sent piece by piece from a thread."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator

import paramiko

from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError
from fame_lab.guest.ssh.link import Channel

__all__ = ["Feed"]


class Feed:
    """The standard input of a command.

    Parameters
    ----------
    script : bytes
        Its shell's part, which comes first.
    stdin : bytes or iterable of bytes
        The command's part.

    Raises
    ------
    SpecError
        If `stdin` is neither.
    """

    def __init__(self, script: bytes, stdin: bytes | Iterable[bytes]) -> None:
        self._pieces = _pieces(script, stdin)
        self._failure: BaseException | None = None

    def start(self, channel: Channel) -> None:
        """Start to send it and its end, from a thread of its own."""
        if self._pieces is None:
            channel.shutdown_write()
        else:
            threading.Thread(target=self._send, args=(channel, iter(self._pieces)), daemon=True).start()

    def check(self) -> None:
        """Raise the error that the input raised, if any."""
        if self._failure is not None:
            raise self._failure

    def _send(self, channel: Channel, pieces: Iterator[bytes]) -> None:
        while True:
            try:
                piece = next(pieces, None)
            except BaseException as error:  # noqa: BLE001 - the caller that waits for the command raises it
                self._failure = error
                channel.close()  # a command must not take half of its input for the whole
                return
            try:
                if piece is None:
                    channel.shutdown_write()
                    return
                channel.sendall(piece)
            except (OSError, EOFError, paramiko.SSHException):
                return  # a command that stops reading closes the channel, and its status tells why


def _pieces(script: bytes, stdin: bytes | Iterable[bytes]) -> Iterable[bytes] | None:
    """Return the pieces to send; None if there are none."""
    if isinstance(stdin, str):
        raise SpecError(f"stdin is {quoted(stdin)}", hint=f"give bytes, such as {quoted(stdin)}.encode()")
    try:
        content = bytes(memoryview(stdin))  # type: ignore[arg-type]
    except TypeError:
        if not isinstance(stdin, Iterable):
            raise SpecError(f"stdin is {quoted(stdin)}", hint="give bytes") from None
        pieces: Iterable[bytes] = stdin  # type: ignore[assignment]
        return itertools.chain([script], pieces)
    return [script, content] if script or content else None
