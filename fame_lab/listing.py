"""What is on this host: labs that run, and what killed ones left."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from fame_lab import network
from fame_lab.directory import LabDirectory
from fame_lab.errors import LabError
from fame_lab.host import domain
from fame_lab.host.connection import connect
from fame_lab.signals import deferred
from fame_lab.spec import LabSpec
from fame_lab.tear_down import record_left, tear_down

__all__ = ["Listing"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """A lab as it was found.

    Parameters
    ----------
    name : str
    spec : LabSpec, optional
        None if only a directory is left that does not say.
    states : dict of str to str
        State by the node's name; ``gone`` for one that is no more, ``starting`` for one that is yet to be.
    run : str
        Token of the report run that started it; empty for a person's.
    notebook : str
        Token of the notebook that started it; empty for none.
    """

    name: str
    spec: LabSpec | None
    states: dict[str, str]
    run: str
    notebook: str = ""

    @property
    def is_orphan(self) -> bool:
        """Whether nothing runs any more, though something is left."""
        return all(state == "gone" for state in self.states.values())

    def end(self) -> None:
        """Take away whatever there is of it: nodes, FAM if the lab made it, its directory."""
        # Held, so that nobody takes it for an orphan half-way.
        with LabDirectory.of(self.name).held():
            self._end()

    def _end(self) -> None:
        # Ctrl-C in the middle is not to leave a half.
        with deferred(threading.Event()):
            connection = connect()
            try:
                tear_down(connection, self.name)
            finally:
                connection.close()

    def end_if_orphan(self) -> bool:
        """Take it away unless somebody is starting it; say whether it was."""
        directory = LabDirectory.of(self.name)
        if not self.is_orphan or directory.is_held():
            return False
        if not directory.path.exists():
            return self._end_without_directory(directory)
        # A start that begins just now waits for us, and then finds its directory gone.
        with directory.held() as ours:
            # What was seen then may be another's by now.
            if not ours or self._runs():
                return False
            self._end()
            return True

    def _end_without_directory(self, directory: LabDirectory) -> bool:
        """Take away what else is left, with a directory made meanwhile: so nobody starts one of that name."""
        try:
            with directory.made_and_held(None):
                if not self._runs():
                    self._end()
                    return True
                directory.remove()
        except LabError:  # somebody came first
            pass
        return False

    def _runs(self) -> bool:
        connection = connect()
        try:
            return bool(domain.find(connection, self.name))
        finally:
            connection.close()

    @classmethod
    def all(cls) -> list[Listing]:
        """Look at libvirt's domains, this user's lab directories, and networks of libvirt's."""
        connection = connect()
        try:
            running = domain.labs(connection)
            found = [cls._running(name, domains) for name, domains in running.items()]
            connected = network.labs(connection)
        finally:
            connection.close()
        left = [directory for directory in LabDirectory.all() if directory.name not in running]
        found += [cls._left(directory) for directory in left]
        known = {listing.name for listing in found}
        found += [cls(name, None, {}, "") for name in connected if name not in known]
        return sorted(found, key=lambda listing: listing.name)

    @classmethod
    def _running(cls, name: str, domains: list[domain.Domain]) -> Listing:
        record = domains[0].record
        states = dict.fromkeys(record.spec.node_names, _absent(LabDirectory.of(name)))
        states |= {found.record.node: found.state() for found in domains}
        return cls(name, record.spec, states, record.run, record.notebook)

    @classmethod
    def _left(cls, directory: LabDirectory) -> Listing:
        try:
            record = record_left(directory)
        except LabError as error:  # of another version
            log.warning("%s is left alone: %s", directory.path, error)
            record = None
        if record is None:
            # A start that has only just begun does not say yet how many nodes there are to be.
            starting = {"node01": "starting"} if _absent(directory) == "starting" else {}
            return cls(directory.name, None, starting, "")
        states = dict.fromkeys(record.spec.node_names, _absent(directory))
        return cls(directory.name, record.spec, states, record.run, record.notebook)


def _absent(directory: LabDirectory) -> str:
    """Say what a node is that has no domain: its lab may be starting, in this process or another."""
    return "starting" if directory.is_held() else "gone"
