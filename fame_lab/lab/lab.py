"""A lab that runs: nodes around one FAM."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from fame_lab.core import above
from fame_lab.core.jobs.signals import deferred
from fame_lab.core.numeric import check_seconds
from fame_lab.core.sanitize import quoted
from fame_lab.errors import FameError, LabError
from fame_lab.host.fam import Fam
from fame_lab.lab import context
from fame_lab.lab.commands import Commands
from fame_lab.lab.inventory import LabStatus
from fame_lab.lab.lab_html import lab_html
from fame_lab.lab.launch import Launch
from fame_lab.lab.launch_progress import LaunchProgress
from fame_lab.lab.libvirt_host import LibvirtHost
from fame_lab.lab.manifest import manifest
from fame_lab.lab.node import Node
from fame_lab.lab.reaper import in_progress
from fame_lab.lab.start_mode import Tell
from fame_lab.lab.teardown import tear_down
from fame_lab.spec.lab_spec import LabSpec

if TYPE_CHECKING:
    from types import TracebackType

    from fame_lab.lab.host import Host
    from fame_lab.results.result import Result
    from fame_lab.traffic.recording import Recording

__all__ = ["Lab"]

log = logging.getLogger(__name__)
Listings = list[LabStatus]


class Lab(Commands):
    r"""A set of nodes around one FAM.

    Used in a ``with`` statement it starts at its beginning and is gone at its end. Started by
    :meth:`start` it runs until :meth:`stop`, beyond the end of this process; see :meth:`attach`. If this
    process is killed, it runs on, and can be attached to; but it is an orphan until somebody does, and
    ``fame-lab down --orphans`` takes it away.

    Parameters
    ----------
    spec : LabSpec
    progress : bool
        Whether bars show how far its start and its probes are.
    host : callable
        Opens the way to the machine that the nodes run on: by default this one, by libvirt. A test without
        virtual machines gives that of a :class:`fame_lab.testing.InMemoryHost`.

    Examples
    --------
    >>> from fame_lab import Lab, LabSpec
    >>> with Lab(LabSpec("demo", nodes=2, fam="256M")) as lab:  # doctest: +SKIP
    ...     lab.run("uname -n")["node02"].stdout
    'node02\\n'
    """

    def __init__(
        self, spec: LabSpec, *, progress: bool = True, host: Callable[[], Host] = LibvirtHost
    ) -> None:
        if not isinstance(spec, LabSpec):
            raise LabError(f"Lab takes a LabSpec, such as LabSpec('demo'), and not {quoted(spec)}")
        self.spec = spec
        #: Whether bars show how far things are.
        self.progress = progress
        self._connect = host
        self._context: context.LabContext | None = None
        self._nodes: tuple[Node, ...] = ()
        self._recordings: weakref.WeakSet[Recording] = weakref.WeakSet()

    def start(
        self,
        *,
        deadline: float | None = None,
        cancelled: threading.Event | None = None,
        tell: Tell | None = None,
    ) -> Lab:
        """Start every node, prove it ready, and return the lab itself; or leave nothing.

        Ready means that the node answers SSH, that its BAR2 has FAM's size, and that a nonce went from
        the host to the node and another one back. Ctrl-C ends it, cleans up, and is raised then.

        Parameters
        ----------
        deadline : float, optional
            Seconds that each node has from power-on to its first SSH answer; by default the image says.
        cancelled : threading.Event, optional
            Set it, from any thread, to end the start; a LabError says so then.
        tell : callable, optional
            Told as it goes on: the node's or the lab's name, and the stage that it has come to.

        Returns
        -------
        Lab

        Raises
        ------
        SpecError
            If the spec cannot be right on this host.
        HostError
            If the host lacks something, or refuses.
        LabError
            If a lab of that name is there, a node does not come up (BootError), is not reached
            (NetworkError) or does not share the FAM (SharingError), or the start was cancelled. Nothing is
            left after any of these errors.
        """
        if self._context is not None:
            raise LabError(f"{self.spec.name!r} is running", hint="stop it first")
        deadline = None if deadline is None else check_seconds("deadline", deadline)
        cancelled = cancelled or threading.Event()
        try:
            with deferred(cancelled), LaunchProgress(self.spec, shown=self.progress) as progress:
                launch = Launch(self.spec, deadline, cancelled, self._connect)
                with launch:
                    for who, stage in launch.events():
                        progress.show(who, stage)
                        if tell is not None:
                            tell(who, stage)
                    self._context, nodes = launch.result()
                    self._nodes = tuple(nodes)
        except BaseException:
            # The signal may have come when all was up: then nobody would have a lab to stop.
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Take everything away that the lab made; what an existing FAM file held stays. Safe to repeat.

        If somebody has ended it meanwhile and started another of its name, that one is let be.
        """
        if self._context is None:
            return
        self._end_recordings()
        with deferred(threading.Event()):
            for node in self._nodes:
                node.connection.close()
            directory = self._context.directory
            # Held, so that nobody takes it for an orphan half-way.
            with directory.locked(), in_progress(directory):
                if self._context.ownership.is_current:
                    tear_down(self._context.host, self.spec.name)
            self._let_go()

    def detach(self) -> None:
        """Release the lab and let it run, until :meth:`attach`; its recordings end. Safe to repeat.

        One that this process started is detached then, and no orphan.
        """
        self._end_recordings()
        if self._context is not None:
            self._context.ownership.detach()
        self._let_go()

    def __enter__(self) -> Lab:
        return self if self._context is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @classmethod
    def attach(cls, name: str) -> Lab:
        """Take up a lab that runs, as after a kernel restart.

        It is no orphan as long as this has it. Whose it is stays as it was: left to itself again, a lab whose
        owner was killed is an orphan still.

        Parameters
        ----------
        name : str

        Returns
        -------
        Lab

        Raises
        ------
        LabError
            If none of that name runs here.
        """
        found = context.attach(name)
        lab = cls(found.spec)
        lab._context = found
        lab._nodes = tuple(Node(found, domain) for domain in found.domains())
        return lab

    @staticmethod
    def list() -> Listings:
        """List the labs on this host, those of killed owners too; see ``LabStatus.owner_state``."""
        return LabStatus.all()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes, in order.

        Raises
        ------
        LabError
            If the lab is not running.
        """
        self._running()
        return self._nodes

    @property
    def fam(self) -> Fam:
        """The memory that they share, as the host has it."""
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

        Returns
        -------
        Recording
            For a ``with`` block; or call its ``start`` and ``stop``.

        Raises
        ------
        SpecError
            If a parameter cannot be right.
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
        made = record(self, source=source, granule=granule, window=window, interval=interval, order=order)
        self._recordings.add(made)
        return made

    def panel(self) -> Any:
        """Return the control panel of this lab, for a notebook; see :func:`fame_lab.panel`."""
        # With it come ipywidgets, which a lab does not need.
        return above.load("panel").panel(self)

    @property
    def qemu_version(self) -> int:
        """The version of the QEMU that the lab was started in: 1000000 * major + 1000 * minor + micro."""
        return self._running().qemu.version

    def manifest(self) -> dict[str, Any]:
        """Return all by which a number taken here is judged: spec, accelerator, versions, image, host."""
        return manifest(self._running())

    def _end_recordings(self) -> None:
        for recording in [each for each in self._recordings if each.running]:
            try:
                recording.stop()
            except FameError as error:
                # It keeps what it can, and tells it to whoever asks it.
                log.warning("a recording of %s ended with it: %s", self.spec.name, error)

    def _let_go(self) -> None:
        for node in self._nodes:
            node.connection.close()
        if self._context is not None:
            self._context.ownership.release()
            self._context.host.close()
        self._context, self._nodes = None, ()

    def _running(self) -> context.LabContext:
        if self._context is None:
            raise LabError(
                f"{self.spec.name!r} is not running", hint=f"start it, or Lab.attach({self.spec.name!r})"
            )
        return self._context

    @property
    def is_running(self) -> bool:
        """Whether this object has the lab running: it was started or attached, and not stopped."""
        return self._context is not None

    def __repr__(self) -> str:
        return f"<Lab {self.spec}, {'started' if self.is_running else 'not started'}>"

    def _repr_html_(self) -> str:
        return lab_html(self.spec, running=self.is_running)
