"""A recording: begun, read while it runs, ended."""

from __future__ import annotations

from abc import abstractmethod
from types import TracebackType
from typing import Self

from fame_lab.traffic.traffic import Traffic
from fame_lab.traffic.views import TrafficViews

__all__ = ["Recording"]


class Recording(TrafficViews):
    """What goes on in FAM between :meth:`start` and :meth:`stop`; see :meth:`fame_lab.Lab.record`.

    It can be asked at any time for what it has so far, by the methods of :class:`Traffic`. In a ``with``
    statement it starts at its beginning and stops at its end.
    """

    #: ``trace``: exact counts by author; ``samples``: what the host saw change.
    source: str

    @abstractmethod
    def start(self) -> Self:
        """Begin; an ended recording begins anew, from nothing."""

    @abstractmethod
    def stop(self) -> Traffic:
        """End, and give what was recorded. Safe to repeat."""

    @abstractmethod
    def traffic(self) -> Traffic:
        """Give what was recorded so far.

        Raises
        ------
        TrafficError
            If it never started, or what it reads is broken.
        """

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
