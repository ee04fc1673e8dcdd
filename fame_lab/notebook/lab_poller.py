"""The panel's poller: a thread that reads the states of domains and labs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.errors import FameError
from fame_lab.lab.inventory import LabStatus
from fame_lab.lab.node_stats import NodeMonitor, NodeStats

__all__ = ["HostSnapshot", "LabPoller"]

log = logging.getLogger(__name__)

_EVERY = 0.5
_PULSE = 0.25
_LIST_EVERY = 2.0


@dataclass(frozen=True)
class HostSnapshot:
    """The nodes and labs of this host at one moment.

    Parameters
    ----------
    lab : str or None
        The lab whose nodes are in it.
    vitals : tuple of NodeStats
    labs : tuple of LabStatus
        All labs on this host.
    error : str
        Why nothing can be seen; empty if all went well.
    """

    lab: str | None = None
    vitals: tuple[NodeStats, ...] = ()
    labs: tuple[LabStatus, ...] = ()
    error: str = ""

    @classmethod
    def of(cls, lab: str) -> HostSnapshot:
        """Look once, at one lab."""
        monitor = NodeMonitor(lab)
        try:
            return cls(lab, tuple(monitor.look()))
        except FameError as error:
            return cls(lab, error=str(error))
        finally:
            monitor.close()

    @property
    def lab_is_there(self) -> bool:
        """Whether anything is left of the lab that was looked at."""
        return bool(self.vitals) or any(entry.name == self.lab for entry in self.labs)


class LabPoller:
    """Looks until it is closed.

    Parameters
    ----------
    on_snapshot : callable
        Called with each snapshot.
    """

    def __init__(self, on_snapshot: Callable[[HostSnapshot], None]) -> None:
        self._on_snapshot = on_snapshot
        self._monitor: NodeMonitor | None = None
        self._lab: str | None = None
        self._snapshot = HostSnapshot()
        self._labs: tuple[LabStatus, ...] = ()
        self._labs_until = 0.0
        self._closed = False
        self._awake = threading.Event()
        for work, name in ((self._work, "panel-poller"), (self._feel, "panel-pulse")):
            threading.Thread(target=work, name=name, daemon=True).start()

    def look_at(self, lab: str | None) -> None:
        """Choose the lab whose nodes are looked at, from now on."""
        if lab != self._lab:
            self._lab = lab
            self.look_now()

    def look_now(self) -> None:
        """Look at once, at everything."""
        self._labs_until = 0.0
        self._awake.set()

    def close(self) -> None:
        """End it."""
        self._closed = True
        self._awake.set()

    def _work(self) -> None:
        while not self._closed:
            self._publish(self._look())
            self._awake.wait(_EVERY)
            self._awake.clear()
        if self._monitor is not None:
            self._monitor.close()

    def _feel(self) -> None:
        """Report a QEMU that has ended at once: libvirt says nothing of a domain while it clears it up."""
        while not self._closed:
            time.sleep(_PULSE)
            monitor, snapshot = self._monitor, self._snapshot
            if monitor is None or snapshot.lab != monitor.lab or not (ended := monitor.ended()):
                continue
            stats = tuple(
                NodeStats(each.node, "gone", console=each.console) if each.node in ended else each
                for each in snapshot.vitals
            )
            if stats != snapshot.vitals and snapshot is self._snapshot:
                self._publish(replace(snapshot, vitals=stats))

    def _publish(self, snapshot: HostSnapshot) -> None:
        self._snapshot = snapshot
        try:
            self._on_snapshot(snapshot)
        except Exception:
            log.exception("the panel cannot show what it sees")

    def _look(self) -> HostSnapshot:
        lab = self._lab
        try:
            if self._monitor is not None and self._monitor.lab != lab:
                self._monitor.close()
                self._monitor = None
            if self._monitor is None and lab is not None:
                self._monitor = NodeMonitor(lab)
            vitals = tuple(self._monitor.look()) if self._monitor is not None else ()
            if (now := time.monotonic()) > self._labs_until:
                # Without a lab's directory there is no lab, and no need to wake libvirt.
                self._labs = tuple(LabStatus.all()) if LabDirectory.all() else ()
                self._labs_until = now + _LIST_EVERY
        except FameError as error:
            # The panel shows the last snapshot on: an error does not mean that the nodes are gone.
            vitals = self._snapshot.vitals if self._snapshot.lab == lab else ()
            return HostSnapshot(lab, vitals, self._labs, str(error))
        return HostSnapshot(lab, vitals, self._labs)
