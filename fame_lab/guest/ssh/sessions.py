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

#: Connections at a time: to a server that takes one session on each, and to others. Each is a process there.
_MAX_SINGLE, _MAX_LINKS = 32, 4
#: Connections without a session that are kept: a new one costs a key exchange, which the guest emulates.
_SPARE = 2
#: Seconds until a node that has not its keys yet is tried again: each try costs it a key exchange.
_UNSETTLED = 2.0
#: Seconds between two looks at whether a wait was called off.
_POLL_INTERVAL = 0.1


class BusyError(Exception):
    """No session became free in time: the node runs as many commands as its server takes."""


@dataclass(eq=False)
class _Place:
    """A connection, and how much of it is in use."""

    link: Link
    busy: int = 0
    #: Whether the server opened no further session, and none of ours has ended since.
    full: bool = False
    #: Whether it has opened any.
    used: bool = False

    @property
    def has_room(self) -> bool:
        return self.link.is_alive and (self.busy == 0 or not (self.full or self.link.is_single))


@dataclass(frozen=True)
class Session:
    """A session that a server has opened, and the connection that it is part of."""

    link: Link
    channel: Channel


class Sessions:
    """The connections to one node.

    Parameters
    ----------
    node : str
        For messages.
    connect : callable
        Makes a connection, within the seconds that it is given.
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
    def session(self, patience: float, end: float | None = None, *, extra: bool = False) -> Iterator[Session]:
        """Hold a session while the block runs. It waits while the server is busy with other commands of ours.

        Parameters
        ----------
        patience : float
            Seconds that the server has for a connection and for a session.
        end : float, optional
            When the wait is over, on the monotonic clock; by default it takes as long as the other commands.
        extra : bool
            Whether one more connection may be made than is usual.

        Raises
        ------
        BusyError
            If nothing became free in time.
        SSHError
            If the node does not answer, or the wait was called off.
        """
        place, channel = self._opened(patience, end, extra)
        whole = False
        try:
            yield Session(place.link, channel)
            whole = True
        finally:
            channel.close()
            if not whole and place.link.is_single:
                # What was called off may end at any moment, and take the next command's session with it.
                place.link.close()
            self._release(place)

    def close(self) -> None:
        """End all connections."""
        with self._changed:
            places, self._places = self._places, []
            self._changed.notify_all()
        for place in places:
            place.link.close()

    def _opened(self, patience: float, end: float | None, extra: bool) -> tuple[_Place, Channel]:
        """Open a session; by another connection, if the one before was with an earlier life of the guest."""
        over: float | None = None
        while True:
            place = self._place(patience, end, extra=extra)
            now = time.monotonic()
            over = now + patience if over is None else over
            try:
                channel = place.link.session(min(over, end or over) - now)
                place.used = True
                return place, channel
            except RefusedError as error:
                # Nothing ran yet, so that to ask again runs nothing twice.
                if self._refused(place):
                    over = None  # it waits for a session of ours to end
                elif not place.used:
                    raise SSHError(f"{self._node} opens no session: {shortened(str(error))}") from error
                # Else the server may still count what was called off: a new connection has nothing to count.
            except BaseException as error:
                self._release(place)
                if not isinstance(error, Exception):
                    raise
                if is_cancelled() or time.monotonic() > over:
                    why = shortened(str(error)) or "it is silent"
                    raise SSHError(f"{self._node} opens no session: {why}") from error

    def _place(
        self,
        patience: float,
        end: float | None,
        *,
        settled: bool = True,
        extra: bool = False,
    ) -> _Place:
        """Take a place on a connection that has room for a session, or on a new connection."""
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
                    more = not enough and len(busy) < _most(busy)
                    if not self._opening and (extra or not busy or more):
                        opening = self._opening = True
                    else:
                        self._changed.wait(_POLL_INTERVAL)
                now = time.monotonic()
                # Where others run, the wait for them is no fault of the server's.
                over = now + patience if busy else start + patience
                left = (over if end is None else min(over, end)) - now
                if opening:
                    return self._new(left, settled=settled)
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
            if left < 0:
                if busy:
                    raise BusyError
                raise SSHError(f"{self._node} does not answer SSH within {patience:.0f} s")

    def _new(self, deadline: float, *, settled: bool) -> _Place:
        """Connect, and take the first place; tried again until `deadline` seconds have gone."""
        end = time.monotonic() + deadline
        while True:
            try:
                place = _Place(self._connect(max(end - time.monotonic(), 1.0)), busy=1)
                break
            except FameError:
                raise  # its QEMU has ended, or hangs
            except Exception as error:  # noqa: BLE001 - whatever it is, it may be over at the next try
                self._judge(error, end, deadline, settled=settled)
                time.sleep(_UNSETTLED if refusal(error) else 0.05)
        with self._changed:
            self._places.append(place)
        return place

    def _judge(self, error: Exception, end: float, deadline: float, *, settled: bool) -> None:
        """Raise SSHError if it is not to be tried again."""
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
        """Leave a place that was refused a session; return whether the connection has others of ours."""
        with self._changed:
            shared = place.busy > 1
            place.full = shared
        if not shared:
            place.link.close()
        self._release(place, freed=False)
        return shared

    def _release(self, place: _Place, *, freed: bool = True) -> None:
        """Release a place; connections that have ended, or that nobody needs, go."""
        with self._changed:
            place.busy -= 1
            place.full = place.full and not freed
            idle = [each for each in self._places if each.busy == 0 and each.link.is_alive]
            gone = [each for each in self._places if each.busy == 0 and not each.link.is_alive]
            gone += idle[_SPARE:]
            self._places = [each for each in self._places if each not in gone]
            self._changed.notify_all()
        for each in gone:
            each.link.close()


def _most(places: list[_Place]) -> int:
    return _MAX_SINGLE if any(each.link.is_single for each in places) else _MAX_LINKS
