"""The labs of this host: those that run, and what killed ones left."""

from __future__ import annotations

import contextlib
import logging
import threading
from dataclasses import dataclass

from fame_lab.core.jobs.signals import deferred
from fame_lab.core.lab_directory import LabDirectory
from fame_lab.errors import LabError
from fame_lab.host.libvirt import domain
from fame_lab.host.libvirt.connection import connect
from fame_lab.lab import network
from fame_lab.lab.libvirt_host import LibvirtHost
from fame_lab.lab.ownership import OwnerState, locked_state, owner_state
from fame_lab.lab.teardown import record_left, tear_down
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["LabStatus"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabStatus:
    """A lab of this host at one moment.

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
    owner_state : {"owned", "orphaned", "detached"}
        Owned: its starter uses it, or one who attached to it. Orphaned: its owner was killed. Detached: its
        owner left it to run.
    """

    name: str
    spec: LabSpec | None
    states: dict[str, str]
    run: str
    notebook: str = ""
    owner_state: OwnerState = "detached"

    @property
    def is_orphan(self) -> bool:
        """Whether its owner was killed, or nothing of it runs any more; and nobody uses it."""
        nothing_runs = all(state == "gone" for state in self.states.values())
        return self.owner_state == "orphaned" or (nothing_runs and self.owner_state != "owned")

    @property
    def is_whole(self) -> bool:
        """Whether every node runs, so that it can be taken up as it is."""
        return bool(self.states) and all(state == "running" for state in self.states.values())

    def end(self) -> None:
        """Remove all of it: nodes, FAM if the lab created it, its directory."""
        # Held, so that nobody takes it for an orphan half-way.
        with LabDirectory.of(self.name).locked():
            self._end()

    def _end(self) -> None:
        # Ctrl-C in the middle is not to leave a half.
        with deferred(threading.Event()), contextlib.closing(LibvirtHost()) as host:
            tear_down(host, self.name)

    def end_if_orphan(self) -> bool:
        """Remove it unless somebody starts or uses it; return whether it was removed."""
        directory = LabDirectory.of(self.name)
        if not self.is_orphan or directory.is_held():
            return False
        with contextlib.ExitStack() as holding:
            if not self._still_orphan(directory, holding):
                return False
            self._end()
            return True

    def _still_orphan(self, directory: LabDirectory, holding: contextlib.ExitStack) -> bool:
        """Check again, with the directory locked so that nobody can start the lab or attach to it."""
        if not directory.path.exists():
            # Nodes or a network without a directory. Creating it keeps a start from coming between.
            try:
                holding.enter_context(directory.create_locked(None))
            except LabError:  # one did
                return False
            return True
        # A start that begins just now waits for us, and then finds its directory gone.
        if not holding.enter_context(directory.locked()):
            return False  # another lab has the name by now
        state = holding.enter_context(locked_state(directory))
        ours, every = self._domains()
        # Nodes of another version are left alone, with all that is theirs.
        return ours == every and (state == "orphaned" or (state == "detached" and not ours))

    def _domains(self) -> tuple[set[str], set[str]]:
        """Name the lab's domains that this version made, and all."""
        with contextlib.closing(connect()) as connection:
            ours = {each.name for each in domain.find(connection, self.name)}
            return ours, domain.names(connection, self.name)

    @classmethod
    def all(cls) -> list[LabStatus]:
        """Look at libvirt's domains, this user's lab directories, and networks of libvirt's."""
        with contextlib.closing(connect()) as connection:
            labs = domain.labs(connection)
            statuses = [cls._running(name, domains) for name, domains in labs.items()]
            network_names = network.labs(connection)
        directories = [directory for directory in LabDirectory.all() if directory.name not in labs]
        statuses += [cls._left(directory) for directory in directories]
        names = {status.name for status in statuses}
        statuses += [cls(name, None, {}, "") for name in network_names if name not in names]
        return sorted(statuses, key=lambda status: status.name)

    @classmethod
    def _running(cls, name: str, domains: list[domain.Domain]) -> LabStatus:
        record, directory = domains[0].record, LabDirectory.of(name)
        states = dict.fromkeys(record.spec.node_names, _absent(directory))
        states |= {each.record.node: each.state() for each in domains}
        return cls(name, record.spec, states, record.run, record.notebook, owner_state(directory))

    @classmethod
    def _left(cls, directory: LabDirectory) -> LabStatus:
        try:
            record = record_left(directory)
        except LabError as error:  # of another version
            log.warning("%s is left alone: %s", directory.path, error)
            record = None
        if record is None:
            # A start that has only just begun does not say yet how many nodes there are to be.
            starting = {"node01": "starting"} if _absent(directory) == "starting" else {}
            return cls(directory.name, None, starting, "", owner_state=owner_state(directory))
        states = dict.fromkeys(record.spec.node_names, _absent(directory))
        return cls(directory.name, record.spec, states, record.run, record.notebook, owner_state(directory))


def _absent(directory: LabDirectory) -> str:
    """Return the state of a node without a domain: its lab may be starting, in this process or another."""
    return "starting" if directory.is_held() else "gone"
