"""The sessions of one node: as many at a time as its SSH server takes, on as many connections as needed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fame_lab.core.jobs.cancellation import is_cancelled
from fame_lab.core.sanitize import shortened
from fame_lab.errors import FameError, SSHError
from fame_lab.guest.ssh.link import Channel, Link, RefusedError, refusal

__all__ = ["BusyError", "Session", "Sessions"]

#: Connections at a time: to a server that takes one session on each, and to others. Each costs it a process.
_MAX_SINGLE, _MAX_LINKS = 32, 4
#: Connections without a session that are kept: a new one costs a key exchange, which the guest emulates.
_SPARE = 2
#: Seconds until a node without its keys yet is tried again: each try costs it a key exchange.
_UNSETTLED = 2.0
#: Seconds between two checks whether a wait was cancelled.
_POLL_INTERVAL = 0.1


class BusyError(Exception):
    """No session became free in time: the node runs as many commands as its server takes."""


@dataclass(eq=False)
class _Place:
    """A connection, with the number of its sessions."""

    link: Link
    busy: int = 0
    #: Whether the server refused a further session, and none of ours has ended since.
    full: bool = False
    #: Whether it has ever opened one.
    proven: bool = False

    @property
    def has_room(self) -> bool:
        return self.link.is_alive and (self.busy == 0 or not (self.full or self.link.is_single))


@dataclass(frozen=True)
class Session:
    """A session that a server has opened, and its connection."""

    link: Link
    channel: Channel


class Sessions:
    """The connections to one node.

    Parameters
    ----------
    node : str
        For messages.
    connect : callable
        Creates a connection within so many seconds.
    """

    def __init__(self, node: str, connect: Callable[[float], Link]) -> None:
        self._node = node
        self._connect = connect
        self._places: list[_Place] = []
        self._changed = threading.Condition()
        self._opening = False

    def open(self, deadline: float, *, settled: bool) -> None:
        """Connect unless connected; see :meth:`fame_lab.guest.ssh.connection.Connection.open`."""
        self._release(self._place(deadline, None, settled=settled))

    @contextlib.contextmanager
    def session(self, timeout: float, end: float | None = None, *, extra: bool = False) -> Iterator[Session]:
        """Hold a session while the block runs; wait for one while other commands of ours take all.

        Parameters
        ----------
        timeout : float
            Seconds that the server has for a connection and for a session.
        end : float, optional
            The end of the wait, on the monotonic clock; by default it takes as long as the other commands.
        extra : bool
            Whether one more connection may be made than is usual.

        Raises
        ------
        BusyError
            If no session became free in time.
        SSHError
            If the node does not answer, or the wait was cancelled.
        """
        place, channel = self._opened(timeout, end, extra)
        complete = False
        try:
            yield Session(place.link, channel)
            complete = True
        finally:
            channel.close()
            if not complete and place.link.is_single:
                # A cancelled command may end at any moment, and take the next command's session with it.
                place.link.close()
            self._release(place)

    def close(self) -> None:
        """Close all connections."""
        with self._changed:
            places, self._places = self._places, []
            self._changed.notify_all()
        for place in places:
            place.link.close()

    def _opened(self, timeout: float, end: float | None, extra: bool) -> tuple[_Place, Channel]:
        """Open a session; by another connection, if the first was to an earlier boot of the guest."""
        deadline: float | None = None
        while True:
            place = self._place(timeout, end, extra=extra)
            now = time.monotonic()
            deadline = now + timeout if deadline is None else deadline
            try:
                channel = place.link.session(min(deadline, end or deadline) - now)
                place.proven = True
                return place, channel
            except RefusedError as error:
                # Nothing ran yet, so a retry runs nothing twice.
                if self._refused(place):
                    deadline = None  # it waits for a session of ours to end
                elif not place.proven:
                    raise SSHError(f"{self._node} opens no session: {shortened(str(error))}") from error
                # Else the server may still count a cancelled command: a new connection has none to count.
            except BaseException as error:
                self._release(place)
                if not isinstance(error, Exception):
                    raise
                if is_cancelled() or time.monotonic() > deadline:
                    why = shortened(str(error)) or "it is silent"
                    raise SSHError(f"{self._node} opens no session: {why}") from error

    def _place(
        self,
        timeout: float,
        end: float | None,
        *,
        settled: bool = True,
        extra: bool = False,
    ) -> _Place:
        """Reserve a session on a connection that has room for one, or on a new connection."""
        start = time.monotonic()
        enough = False
        while True:
            opening = False
            try:
                with self._changed:
                    if place := next((each for each in self._places if each.has_room), None):
                        place.busy += 1
                        return place
                    busy = [each for each in self._places if each.link.is_alive]
                    more = not enough and len(busy) < _max_links(busy)
                    if not self._opening and (extra or not busy or more):
                        opening = self._opening = True
                    else:
                        self._changed.wait(_POLL_INTERVAL)
                now = time.monotonic()
                # A wait for other commands is no fault of the server's.
                deadline = now + timeout if busy else start + timeout
                remaining = (deadline if end is None else min(deadline, end)) - now
                if opening:
                    return self._new(remaining, settled=settled)
            except SSHError:
                if extra or not busy:
                    raise
                enough = True
            finally:
                if opening:
                    with self._changed:
                        self._opening = False
                        self._changed.notify_all()
            if is_cancelled():
                raise SSHError(f"{self._node}: called off before it began")
            if remaining < 0:
                if busy:
                    raise BusyError
                raise SSHError(f"{self._node} does not answer SSH within {timeout:.0f} s")

    def _new(self, deadline: float, *, settled: bool) -> _Place:
        """Connect, and reserve the first session; retry until `deadline` seconds have passed."""
        end = time.monotonic() + deadline
        while True:
            try:
                place = _Place(self._connect(max(end - time.monotonic(), 1.0)), busy=1)
                break
            except FameError:
                raise  # its QEMU has ended, or hangs
            except Exception as error:  # noqa: BLE001 - any error may be over at the next try
                self._judge(error, end, deadline, settled=settled)
                time.sleep(_UNSETTLED if refusal(error) else 0.05)
        with self._changed:
            self._places.append(place)
        return place

    def _judge(self, error: Exception, end: float, deadline: float, *, settled: bool) -> None:
        """Raise SSHError if a retry is of no use."""
        refused = refusal(error)
        if refused and (settled or is_cancelled() or time.monotonic() > end):
            raise SSHError(f"{self._node} {refused}") from error
        if is_cancelled():
            raise SSHError(f"{self._node}: called off before it answered SSH") from error
        if time.monotonic() > end:
            why = shortened(str(error))
            seconds = max(deadline, 0.0)
            raise SSHError(f"{self._node} does not answer SSH within {seconds:.0f} s: {why}") from error

    def _refused(self, place: _Place) -> bool:
        """Release a refused session; return whether its connection has others of ours."""
        with self._changed:
            shared = place.busy > 1
            place.full = shared
        if not shared:
            place.link.close()
        self._release(place, freed=False)
        return shared

    def _release(self, place: _Place, *, freed: bool = True) -> None:
        """Release a session; close connections that have ended, or that nobody needs."""
        with self._changed:
            place.busy -= 1
            place.full = place.full and not freed
            idle = [each for each in self._places if each.busy == 0 and each.link.is_alive]
            surplus = [each for each in self._places if each.busy == 0 and not each.link.is_alive]
            surplus += idle[_SPARE:]
            self._places = [each for each in self._places if each not in surplus]
            self._changed.notify_all()
        for each in surplus:
            each.link.close()


def _max_links(places: list[_Place]) -> int:
    return _MAX_SINGLE if any(each.link.is_single for each in places) else _MAX_LINKS
