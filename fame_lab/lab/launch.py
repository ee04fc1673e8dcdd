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


class _CancelOrFailure(threading.Event):
    """Set for the nodes that are coming if the start is called off, or if one of them fails."""

    def __init__(self, asked: threading.Event) -> None:
        super().__init__()
        # Whose event says what he asked for, and nothing else.
        self._asked = asked

    def is_set(self) -> bool:
        return super().is_set() or self._asked.is_set()


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
        # In our context, so that a guest image that has to be built first is told as part of our job.
        work = contextvars.copy_context().run
        # Waited for at the interpreter's end, whatever thread makes it, or a half of a lab would be left.
        self._thread = threading.Thread(
            target=work, args=(self._work,), name=f"start-{spec.name}", daemon=False
        )

    def __enter__(self) -> Launch:
        """Start, and return at once."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End; whatever went wrong, a lab that nobody took is gone then."""
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
        while (event := self._events.get()) is not None:
            yield event

    def result(self) -> tuple[LabContext, list[Node]]:
        """Return what came of it, or raise what went wrong."""
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
        # Told at each step, so this is also where a step that cannot look for itself is cut short.
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
                # A command that was called off is no fault of its node's.
                raise_if_cancelled()
                raise

    def _bring_up_all(self, context: LabContext, start: StartMode) -> list[Node]:
        slots = threading.Semaphore(cores := len(os.sched_getaffinity(0)))
        # One more than boot at a time: its domain is made while the others boot.
        with concurrent.futures.ThreadPoolExecutor(cores + 1, f"boot-{self._spec.name}") as pool:
            coming = [
                pool.submit(self._bring_up, context, index, start, slots) for index in range(self._spec.nodes)
            ]
            concurrent.futures.wait(coming, return_when=concurrent.futures.FIRST_EXCEPTION)
            if failed := [future for future in coming if future.done() and future.exception() is not None]:
                self._cancelled.set()
                for future in coming:
                    future.cancel()
                concurrent.futures.wait(coming)
                _close(each.result() for each in coming if not each.cancelled() and each.exception() is None)
                raise failed[0].exception() or LabError("unreachable")
        nodes = [future.result() for future in coming]
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
