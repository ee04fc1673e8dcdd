"""Start a lab: all of it or none."""

from __future__ import annotations

import concurrent.futures
import contextvars
import logging
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator

from fame_lab.core.jobs.cancellation import cancellable, raise_if_cancelled
from fame_lab.errors import LabError, SSHError
from fame_lab.lab import boot, template
from fame_lab.lab.context import LabContext
from fame_lab.lab.host import Host
from fame_lab.lab.network_proof import prove_connected
from fame_lab.lab.node import Node
from fame_lab.lab.provision import provisioned
from fame_lab.lab.start_mode import StartMode
from fame_lab.lab.teardown import tear_down
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["Launch"]

log = logging.getLogger(__name__)

#: Seconds of a wait for news. A Ctrl-C that comes just before a wait is heard when that ends.
_SIGNAL_INTERVAL = 0.2


class _CancelOrFailure(threading.Event):
    """Set for the nodes that are starting if the start is cancelled or one of them fails."""

    def __init__(self, cancellation: threading.Event) -> None:
        super().__init__()
        # The caller's event, which this class only reads.
        self._cancellation = cancellation

    def is_set(self) -> bool:
        return super().is_set() or self._cancellation.is_set()


class Launch:
    """One start of a lab, on a thread of its own.

    Parameters
    ----------
    spec : LabSpec
    deadline : float, optional
        Seconds that each node has from power-on to its first SSH answer.
    cancelled : threading.Event
        Ends the start when set; then nothing is left.
    connect : callable
        Opens the way to the machine that the nodes are to run on.
    """

    def __init__(
        self,
        spec: LabSpec,
        deadline: float | None,
        cancelled: threading.Event,
        connect: Callable[[], Host],
    ) -> None:
        self._spec = spec
        self._deadline = deadline
        self._connect = connect
        self._cancelled = _CancelOrFailure(cancelled)
        self._events: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._outcome: concurrent.futures.Future[tuple[LabContext, list[Node]]] = concurrent.futures.Future()
        # In our context, so that building a guest image first is a part of our job.
        work = contextvars.copy_context().run
        # No daemon: the interpreter waits for it at exit, or half a lab would be left.
        self._thread = threading.Thread(
            target=work, args=(self._work,), name=f"start-{spec.name}", daemon=False
        )

    def __enter__(self) -> Launch:
        """Start, and return at once."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for the end; after an error remove the lab."""
        if kind is not None:
            self._cancelled.set()
        self._thread.join()
        if kind is not None and self._outcome.exception() is None:
            context, nodes = self._outcome.result()
            _close(nodes)
            tear_down(context.host, self._spec.name)
            context.ownership.release()

    def events(self) -> Iterator[tuple[str, str]]:
        """Return (node or lab's name, stage) as they come, until the start has ended."""
        while True:
            try:
                event = self._events.get(timeout=_SIGNAL_INTERVAL)
            except queue.Empty:
                continue
            if event is None:
                return
            yield event

    def result(self) -> tuple[LabContext, list[Node]]:
        """Return the context and the nodes, or raise the error of the start."""
        return self._outcome.result()

    def _work(self) -> None:
        try:
            with cancellable(self._cancelled):
                self._outcome.set_result(self._launch())
        except BaseException as error:  # noqa: BLE001 - carried to whoever asks for the result
            self._outcome.set_exception(error)
        finally:
            self._events.put(None)

    def _tell(self, who: str, stage: str) -> None:
        # Called at each step, so steps that cannot check for a cancel themselves end here.
        raise_if_cancelled()
        log.debug("%s: %s", who, stage)
        self._events.put((who, stage))

    def _launch(self) -> tuple[LabContext, list[Node]]:
        def tell(stage: str) -> None:
            self._tell(self._spec.name, stage)

        with (
            provisioned(self._spec, tell, self._connect) as context,
            template.start_mode(context, deadline=self._deadline, tell=tell) as start,
        ):
            return context, self._bring_up_all(context, start)

    def _bring_up(
        self, context: LabContext, index: int, start: StartMode, slots: threading.Semaphore
    ) -> Node:
        with cancellable(self._cancelled):
            try:
                return boot.bring_up(
                    context, index, start, deadline=self._deadline, slots=slots, tell=self._tell
                )
            except SSHError:
                # A command that was cancelled is no error of its node.
                raise_if_cancelled()
                raise

    def _bring_up_all(self, context: LabContext, start: StartMode) -> list[Node]:
        slots = threading.Semaphore(cores := len(os.sched_getaffinity(0)))
        # One more than boot at a time: its domain is made while the others boot.
        with concurrent.futures.ThreadPoolExecutor(cores + 1, f"boot-{self._spec.name}") as pool:
            futures = [
                pool.submit(self._bring_up, context, index, start, slots) for index in range(self._spec.nodes)
            ]
            concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_EXCEPTION)
            if failures := [future for future in futures if future.done() and future.exception() is not None]:
                self._cancelled.set()
                for future in futures:
                    future.cancel()
                concurrent.futures.wait(futures)
                _close(each.result() for each in futures if not each.cancelled() and each.exception() is None)
                raise failures[0].exception() or LabError("unreachable")
        nodes = [future.result() for future in futures]
        try:
            if self._spec.addresses is not None:
                self._tell(self._spec.name, "proving the network")
                prove_connected(self._spec, nodes)
            raise_if_cancelled()
        except BaseException as error:
            _close(nodes)
            if isinstance(error, SSHError) and self._cancelled.is_set():
                raise LabError("the start was cancelled") from error
            raise
        return nodes


def _close(nodes: Iterable[Node]) -> None:
    for node in nodes:
        node.connection.close()
