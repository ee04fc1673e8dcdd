"""What is measured on the nodes of a lab: probes, recordings, and the manifest of both."""

from __future__ import annotations

import logging
import os
import weakref
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal

from fame_lab.errors import FameError
from fame_lab.host.fam import Fam
from fame_lab.lab.commands import Commands
from fame_lab.lab.manifest import manifest

if TYPE_CHECKING:
    from fame_lab.lab.context import LabContext
    from fame_lab.results.result import Result
    from fame_lab.spec.lab_spec import LabSpec
    from fame_lab.traffic.fabric import FabricModel
    from fame_lab.traffic.recording import Recording
    from fame_lab.traffic.transactions.cache import Cache
    from fame_lab.traffic.transactions.directory import LineDirectory

__all__ = ["Measurements"]

log = logging.getLogger(__name__)


class Measurements(Commands):
    """What a lab measures while it runs.

    Parameters
    ----------
    spec : LabSpec
    progress : bool
        Whether bars show how far things are.
    """

    def __init__(self, spec: LabSpec, progress: bool) -> None:
        self.spec = spec
        #: Whether bars show how far things are.
        self.progress = progress
        self._recordings: weakref.WeakSet[Recording] = weakref.WeakSet()

    @abstractmethod
    def _running(self) -> LabContext:
        """Return the context of the running lab; raise LabError if it does not run."""

    @property
    def fam(self) -> Fam:
        """The memory that the nodes share, as the host has it."""
        return self._running().fam

    def probe(self, probe: str, /, **parameters: Any) -> Result:
        """Measure; see :mod:`fame_lab.probes` for what there is.

        Parameters
        ----------
        probe : str
            Name of the family, such as ``"chase"``.
        **parameters
            Of that family.

        Returns
        -------
        Result

        Raises
        ------
        SpecError
            If there is no such probe, it has no such parameter, or a parameter cannot be right.
        ProbeError
            If it cannot give a right number.
        CommandError, SSHError
            If its program fails in a node, or a node does not answer.
        """
        from fame_lab import probes  # with it comes xarray, which a lab does not need

        return probes.run(self, probe, **parameters)

    def record(
        self,
        *,
        source: Literal["auto", "trace", "samples"] = "auto",
        granule: int | str = 4096,
        window: tuple[int | str, int | str] | None = None,
        interval: float = 0.2,
        order: str | os.PathLike[str] | None = None,
        cache: Cache | None = None,
        fabric: FabricModel | None = None,
        dilation: float | None = None,
    ) -> Recording:
        """Make a recording of who touches which part of FAM. It does not run yet.

        Parameters
        ----------
        source : {"auto", "trace", "samples"}
            Exact counts by author, for which the lab must have ``trace=True``; or what the host sees change.
            ``auto`` takes the trace where there is one.
        granule : int or str
            Bytes of the unit of place: a power of two from 64 B.
        window : tuple, optional
            Of samples: offset and size of the part of FAM that is watched; by default all of it.
        interval : float
            Seconds between two looks.
        order : path, optional
            A Parquet file for the accesses themselves, in their order; of a trace only. See
            :class:`fame_lab.traffic.trace.access_log.AccessLog`. Accesses that come faster than they can be
            written are lost there; their number is told, and the counts have them.
        cache : Cache, optional
            A cache that each node is taken to have for FAM; of a trace only. The recording then counts also
            the transactions that a fabric would carry: see :class:`fame_lab.Cache`.
        fabric : FabricModel, optional
            Programs feel its distances while it records: each miss of the cache waits `dilation` times as
            long as the fabric would take; see :class:`fame_lab.traffic.transactions.felt.FeltFabric`.
        dilation : float, optional
            Times by which the fabric is slowed, 10 by default. One that is too small to be felt above the
            emulator's own cost is refused at the start, with the smallest that works.

        Returns
        -------
        Recording
            For a ``with`` block; or call its ``start`` and ``stop``.

        Raises
        ------
        SpecError
            If a parameter cannot be right, or the cache is larger than FAM.
        TrafficError
            If a trace is wanted of a lab that has none.

        Examples
        --------
        >>> with lab.record() as traffic:  # doctest: +SKIP
        ...     lab.run("my-program")
        >>> traffic.matrix("bytes")  # doctest: +SKIP
        """
        from fame_lab.traffic import record  # with it comes xarray, which a lab does not need

        self._running()
        recording = record(
            self, source=source, granule=granule, window=window, interval=interval, order=order, cache=cache,
            fabric=fabric, dilation=dilation,
        )  # fmt: skip
        self._recordings.add(recording)
        return recording

    def line_directory(self) -> LineDirectory:
        """Open the file in which the QEMUs of a traced lab keep who holds which line of FAM.

        Raises
        ------
        TrafficError
            If it is missing, short, or of another version.
        """
        from fame_lab.traffic.transactions.directory import LineDirectory

        context = self._running()
        return LineDirectory(context.directory.lines, context.directory_layout)

    @property
    def qemu_version(self) -> int:
        """The version of the QEMU that the lab was started in: 1000000 * major + 1000 * minor + micro."""
        return self._running().qemu.version

    def manifest(self) -> dict[str, Any]:
        """Return all by which a number taken here is judged: spec, accelerator, versions, image, host."""
        felt = [each.felt for each in self._recordings if each.running and each.felt]
        return manifest(self._running()) | ({"felt": felt[0]} if felt else {})

    def _end_recordings(self) -> None:
        for recording in [each for each in self._recordings if each.running]:
            try:
                recording.stop()
            except FameError as error:
                # It keeps what it can, and tells it to whoever asks it.
                log.warning("a recording of %s ended with it: %s", self.spec.name, error)
