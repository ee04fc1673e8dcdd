"""The calls that a lab makes to a host in memory, in order, and the scripted effect of each."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError

__all__ = ["CALLS", "Call", "Calls"]

#: All that a lab may ask, in about the order of a start and an end.
CALLS = (
    *("connect", "labs", "check network", "qemu", "image", "accelerator", "make network"),
    *("create", "restore", "resume", "console", "state", "open", "run", "save"),
    *("find", "destroy", "end network", "remove logs", "close"),
)


class Call(NamedTuple):
    """One question of a lab.

    Parameters
    ----------
    what : str
        One of :data:`CALLS`.
    who : str
        The node that it is about, or the lab; empty if it is about neither.
    """

    what: str
    who: str


class Calls:
    """The calls so far, and what a test has arranged for those to come.

    Attributes
    ----------
    log : list of Call
        In their order.
    """

    def __init__(self) -> None:
        self.log: list[Call] = []
        self._lock = threading.Lock()
        self._hooks: dict[tuple[str, str], list[tuple[str | None, Callable[[], object]]]] = defaultdict(list)

    def before(self, what: str, do: Callable[[], object], who: str | None = None) -> None:
        """Arrange that `do` is called before each call of a kind.

        What it raises is raised to whoever calls. For as long as it does not return, the call hangs.

        Parameters
        ----------
        what : str
            One of :data:`CALLS`.
        do : callable
        who : str, optional
            The node or the lab that the call is about; by default any.

        Raises
        ------
        SpecError
            If there is no such call.
        """
        self._arrange("before", what, do, who)

    def after(self, what: str, do: Callable[[], object], who: str | None = None) -> None:
        """Arrange that `do` is called once each call of a kind has done its work; see :meth:`before`."""
        self._arrange("after", what, do, who)

    def order(self, *what: str) -> list[str]:
        """Return the calls of these kinds in their order, each as a text such as ``create node01``.

        Parameters
        ----------
        *what : str
            Of :data:`CALLS`; by default all.

        Returns
        -------
        list of str
        """
        log = list(self.log)  # others may go on
        return [f"{call.what} {call.who}".rstrip() for call in log if not what or call.what in what]

    @contextlib.contextmanager
    def record(self, what: str, who: str) -> Iterator[None]:
        """Record a call, whose work is the block."""
        with self._lock:
            self.log.append(Call(what, who))
        self._run("before", what, who)
        yield
        self._run("after", what, who)

    def _arrange(self, when: str, what: str, do: Callable[[], object], who: str | None) -> None:
        if what not in CALLS:
            raise SpecError(f"there is no call {quoted(what)}", hint=f"give one of {', '.join(CALLS)}")
        self._hooks[when, what].append((who, do))

    def _run(self, when: str, what: str, who: str) -> None:
        for name, do in list(self._hooks[when, what]):
            if name in (None, who):
                do()
