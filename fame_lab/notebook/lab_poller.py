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

__all__ = ["HostSnapshot", "Watch"]

log = logging.getLogger(__name__)

_EVERY = 0.5
_PULSE = 0.25
_LIST_EVERY = 2.0


@dataclass(frozen=True)
class HostSnapshot:
    """What was seen at one look.

    Parameters
    ----------
    lab : str or None
        Which lab was looked at.
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
        signs = NodeMonitor(lab)
        try:
            return cls(lab, tuple(signs.look()))
        except FameError as error:
            return cls(lab, error=str(error))
        finally:
            signs.close()

    @property
    def lab_is_there(self) -> bool:
        """Whether anything is left of the lab that was looked at."""
        return bool(self.vitals) or any(entry.name == self.lab for entry in self.labs)


class Watch:
    """Looks until it is closed.

    Parameters
    ----------
    seen : callable
        Given what was seen, at each look.
    """

    def __init__(self, seen: Callable[[HostSnapshot], None]) -> None:
        self._seen = seen
        self._signs: NodeMonitor | None = None
        self._lab: str | None = None
        self._sight = HostSnapshot()
        self._labs: tuple[LabStatus, ...] = ()
        self._labs_until = 0.0
        self._closed = False
        self._awake = threading.Event()
        for work, name in ((self._work, "panel-watch"), (self._feel, "panel-pulse")):
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
        if self._signs is not None:
            self._signs.close()

    def _feel(self) -> None:
        """Report a QEMU that has ended at once: libvirt says nothing of a domain while it clears it up."""
        while not self._closed:
            time.sleep(_PULSE)
            signs, sight = self._signs, self._sight
            if signs is None or sight.lab != signs.lab or not (ended := signs.ended()):
                continue
            vitals = tuple(
                NodeStats(each.node, "gone", console=each.console) if each.node in ended else each
                for each in sight.vitals
            )
            if vitals != sight.vitals and sight is self._sight:
                self._publish(replace(sight, vitals=vitals))

    def _publish(self, sight: HostSnapshot) -> None:
        self._sight = sight
        try:
            self._seen(sight)
        except Exception:
            log.exception("the panel cannot show what it sees")

    def _look(self) -> HostSnapshot:
        lab = self._lab
        try:
            if self._signs is not None and self._signs.lab != lab:
                self._signs.close()
                self._signs = None
            if self._signs is None and lab is not None:
                self._signs = NodeMonitor(lab)
            vitals = tuple(self._signs.look()) if self._signs is not None else ()
            if (now := time.monotonic()) > self._labs_until:
                # Where no lab is there is no directory of one, and no need to wake libvirt.
                self._labs = tuple(LabStatus.all()) if LabDirectory.all() else ()
                self._labs_until = now + _LIST_EVERY
        except FameError as error:
            # What was seen last is shown on: that nothing can be seen does not mean that nothing is there.
            vitals = self._sight.vitals if self._sight.lab == lab else ()
            return HostSnapshot(lab, vitals, self._labs, str(error))
        return HostSnapshot(lab, vitals, self._labs)
