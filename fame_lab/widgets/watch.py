"""The panel's eye: a thread that looks at libvirt's domains and at what labs there are."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from fame_lab.directory import LabDirectory
from fame_lab.errors import FameError
from fame_lab.listing import Listing
from fame_lab.vitals import Vitals, VitalSigns

__all__ = ["Sight", "Watch"]

log = logging.getLogger(__name__)

_EVERY = 0.5
_LIST_EVERY = 2.0


@dataclass(frozen=True)
class Sight:
    """What was seen at one look.

    Parameters
    ----------
    lab : str or None
        Which lab was looked at.
    vitals : tuple of Vitals
    labs : tuple of Listing
        All labs on this host.
    error : str
        Why nothing can be seen; empty if all went well.
    """

    lab: str | None = None
    vitals: tuple[Vitals, ...] = ()
    labs: tuple[Listing, ...] = ()
    error: str = ""

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

    def __init__(self, seen: Callable[[Sight], None]) -> None:
        self._seen = seen
        self._signs: VitalSigns | None = None
        self._lab: str | None = None
        self._vitals: tuple[Vitals, ...] = ()
        self._labs: tuple[Listing, ...] = ()
        self._labs_until = 0.0
        self._closed = False
        self._awake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="panel-watch", daemon=True)
        self._thread.start()

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
            try:
                self._seen(self._look())
            except Exception:
                log.exception("the panel cannot show what it sees")
            self._awake.wait(_EVERY)
            self._awake.clear()
        if self._signs is not None:
            self._signs.close()

    def _look(self) -> Sight:
        lab = self._lab
        try:
            if self._signs is not None and self._signs.lab != lab:
                self._signs.close()
                self._signs = None
            if self._signs is None and lab is not None:
                self._signs, self._vitals = VitalSigns(lab), ()
            vitals = tuple(self._signs.look()) if self._signs is not None else ()
            if (now := time.monotonic()) > self._labs_until:
                # Where no lab is there is no directory of one, and no need to wake libvirt.
                self._labs = tuple(Listing.all()) if LabDirectory.all() else ()
                self._labs_until = now + _LIST_EVERY
        except FameError as error:
            # What was seen last is shown on: that nothing can be seen does not mean that nothing is there.
            return Sight(lab, self._vitals, self._labs, str(error))
        self._vitals = vitals
        return Sight(lab, vitals, self._labs)
