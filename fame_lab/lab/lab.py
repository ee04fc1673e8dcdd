"""A lab that runs: nodes around one FAM."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fame_lab.core import above
from fame_lab.core.jobs.signals import deferred
from fame_lab.core.numeric import check_seconds
from fame_lab.core.sanitize import quoted
from fame_lab.errors import LabError
from fame_lab.lab import context
from fame_lab.lab.inventory import LabStatus
from fame_lab.lab.lab_html import lab_html
from fame_lab.lab.launch import Launch
from fame_lab.lab.launch_progress import LaunchProgress
from fame_lab.lab.libvirt_host import LibvirtHost
from fame_lab.lab.measurements import Measurements
from fame_lab.lab.node import Node
from fame_lab.lab.reaper import in_progress
from fame_lab.lab.start_mode import Tell
from fame_lab.lab.teardown import tear_down
from fame_lab.spec.lab_spec import LabSpec

if TYPE_CHECKING:
    from types import TracebackType

    from fame_lab.lab.host import Host

__all__ = ["Lab"]

Listings = list[LabStatus]


class Lab(Measurements):
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
        super().__init__(spec, progress)
        self._connect = host
        self._context: context.LabContext | None = None
        self._nodes: tuple[Node, ...] = ()

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
        lab_context = context.attach(name)
        lab = cls(lab_context.spec)
        lab._context = lab_context
        lab._nodes = tuple(Node(lab_context, domain) for domain in lab_context.domains())
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

    def panel(self) -> Any:
        """Return the control panel of this lab, for a notebook; see :func:`fame_lab.panel`."""
        # With it come ipywidgets, which a lab does not need.
        return above.load("panel").panel(self)

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
