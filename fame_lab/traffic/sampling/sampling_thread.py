"""A thread that looks at FAM again and again and counts what changed."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Mapping
from types import TracebackType

import numpy as np
import numpy.typing as npt
import xarray as xr

from fame_lab.core.numeric import check_number
from fame_lab.errors import SpecError, TrafficError
from fame_lab.host.fam import Fam
from fame_lab.spec.fam_layout import MAX_BOOK
from fame_lab.traffic.sampling.change_counts import ChangeCounts, ChangeTimeline
from fame_lab.traffic.sampling.extents import PAGE
from fame_lab.traffic.sampling.sampler import Sampler
from fame_lab.traffic.sampling.samples import Samples
from fame_lab.traffic.sampling.soft_dirty import DirtyPages

__all__ = ["SamplingThread"]


class SamplingThread:
    """A thread that samples a lab's FAM until it is stopped.

    Parameters
    ----------
    fam : Fam
    window, granule
        As of :class:`fame_lab.traffic.sampling.sampler.Sampler`.
    interval : float
        Seconds from one look to the next, from 0.001 to 3600. Where a look takes longer, the next follows at
        once; the samples have the actual intervals. A Python program that keeps this process busy delays
        looks, too.
    bin_size : int
        Bytes of a bin of the timeline, a power of two, not smaller than a granule: the book size shows homes.
    authors : mapping of str to DirtyPages, optional
        By the node's name: see :func:`fame_lab.traffic.sampling.soft_dirty.dirty_pages`. These know pages, so
        the granule is a page at least. They are closed at the end.

    Raises
    ------
    SpecError
        If a parameter cannot be right.
    HostError
        If the file is not the lab's.

    Examples
    --------
    >>> import tempfile; from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     fam = Fam.create(Path(directory) / "fam", 1 << 20)
    ...     with SamplingThread(fam) as watch:
    ...         fam.write(8192, b"stored")
    >>> watch.samples().counts["changed"].to_series().to_dict()
    {8192: 1}
    """

    def __init__(
        self,
        fam: Fam,
        *,
        window: tuple[int | str, int | str] | None = None,
        granule: int | str = PAGE,
        interval: float = 0.1,
        bin_size: int = MAX_BOOK,
        authors: Mapping[str, DirtyPages] | None = None,
    ) -> None:
        self.interval = float(check_number("interval", interval, 1e-3, 3600, "seconds"))
        self._authors = dict(authors or {})
        self._sampler = Sampler(fam, window=window, granule=granule)
        if self._authors and (granule := self._sampler.granule) < PAGE:
            self._sampler.close()
            raise SpecError(f"granule is {granule}: who stored is told by the page, so give {PAGE} or more")
        self._bin = bin_size
        self._lock = threading.Lock()
        self._changed = ChangeCounts()
        self._stored = {name: ChangeCounts() for name in self._authors}
        self._ended: dict[str, str] = {}
        self._timeline = ChangeTimeline(self._bin)
        self._times, self._took = array("d"), array("d")
        self._enough = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> SamplingThread:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except Exception:
            if error is None:  # else the first error is the one to see
                raise

    def start(self) -> None:
        """Look for the first time, and go on in the background. Changes count from here on.

        Raises
        ------
        TrafficError
            If it was started before, or FAM or a node's process cannot be read.
        """
        if self._thread is not None:
            raise TrafficError("this recording was started before", hint="make another")
        thread = threading.Thread(target=self._work, name="fame_lab-samples", daemon=True)
        try:
            self._sampler.look()
            for author in self._authors.values():
                author.clear()
        except BaseException:
            self._close()
            raise
        self._start_time = time.monotonic()
        self._thread = thread
        thread.start()

    def stop(self) -> Samples:
        """Look for the last time, and end. Safe to repeat.

        Raises
        ------
        TrafficError
            If it was never started, or ended early by an error; :attr:`counted` has the samples until then.
        """
        if self._thread is None:
            raise TrafficError("this recording was not started: there is nothing to stop")
        self._enough.set()
        self._thread.join()
        if self._sampler.is_open:
            try:
                if self._error is None:
                    self._look()
            except TrafficError as error:
                self._error = error
            finally:
                self._close()
        return self.samples()

    def samples(self) -> Samples:
        """Return the samples up to the last look; it does not wait for one.

        Raises
        ------
        TrafficError
            Or whatever error ended it early; :attr:`counted` has the samples until then.
        """
        if self._error is not None:
            raise self._error
        return self.counted

    @property
    def counted(self) -> Samples:
        """The samples up to the last look, or up to an error."""
        with self._lock:
            return Samples(
                self._counts(), self._time_line(), self._looks(), self._sampler.window, dict(self._ended)
            )

    def _work(self) -> None:
        due = self._start_time
        try:
            while True:
                due = max(due + self.interval, now := time.monotonic())
                if self._enough.wait(due - now):
                    return
                self._look()
        except BaseException as error:  # noqa: BLE001 - carried to whoever reads or stops it
            self._error = error

    def _look(self) -> None:
        began = time.monotonic()
        changed = self._sampler.look()
        stores = {name: pages for name in list(self._authors) if (pages := self._stores_of(name)) is not None}
        ended = time.monotonic()
        with self._lock:
            self._changed.add(changed)
            for name, granules in stores.items():
                self._stored[name].add(granules)
            self._timeline.add(ended - self._start_time, changed)
            self._times.append(ended - self._start_time)
            self._took.append(ended - began)

    def _stores_of(self, name: str) -> npt.NDArray[np.int64] | None:
        """Return the granules that a node stored to; None once its process is gone."""
        try:
            pages = self._authors[name].stored(self._sampler.in_use)
        except TrafficError as error:
            with self._lock:
                self._ended[name] = str(error)
            self._authors.pop(name).close()
            return None
        return np.unique(pages & -self._sampler.granule)

    def _close(self) -> None:
        self._sampler.close()
        for author in self._authors.values():
            author.close()

    def _counts(self) -> xr.Dataset:
        tallies = [self._changed, *self._stored.values()]
        offsets = np.unique(np.concatenate([tally.offsets for tally in tallies]))
        about = {"units": "looks", "long_name": "looks in which it had changed"}
        dataset = xr.Dataset(
            {"changed": ("granule", self._changed.at(offsets), about)},
            coords={"granule": ("granule", offsets, {"units": "B", "long_name": "offset in FAM"})},
            attrs={"granule": self._sampler.granule, "looks": len(self._times)},
        )
        if self._stored:
            values = np.array([tally.at(offsets) for tally in self._stored.values()])
            about = {"units": "looks", "long_name": "looks in which the node had stored to it"}
            dataset = dataset.assign_coords(node=list(self._stored))
            dataset["changed_by"] = (("node", "granule"), values, about)
        return dataset

    def _time_line(self) -> xr.Dataset:
        times, bins, counts = self._timeline.table()
        return xr.Dataset(
            {"changed": (("time", "bin"), counts, {"units": "granules", "long_name": "changed granules"})},
            coords={
                "time": ("time", times, {"units": "s", "long_name": "time since the start"}),
                "bin": ("bin", bins, {"units": "B", "long_name": "offset in FAM"}),
            },
            attrs={"bin": self._bin, "granule": self._sampler.granule},
        )

    def _looks(self) -> xr.Dataset:
        took = {"units": "s", "long_name": "how long a look was"}
        interval = {"units": "s", "long_name": "time since the look before"}
        return xr.Dataset(
            {
                "interval": ("look", np.diff(self._times, prepend=0.0), interval),
                "took": ("look", np.array(self._took), took),
            },
            attrs={"wanted": self.interval},
        )
