"""How stale a look of the host's through numpy can be: a round trip to a node that answers at once."""

from __future__ import annotations

import concurrent.futures
import resource
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fame_lab.errors import ProbeError
from fame_lab.probes.together import one_line, together

if TYPE_CHECKING:
    from fame_lab.lab import Lab
    from fame_lab.node import Node

__all__ = ["Looks", "host_round_trips"]

_STOP = (1 << 64) - 1
_BACK = 16  # words from the host's line to the node's, 128 bytes
_LOOKS = 4096


@dataclass(frozen=True)
class Looks:
    """The host's round trips.

    Parameters
    ----------
    nanoseconds : ndarray
        From before the host's store until its look at the answer was over.
    preempted : ndarray
        Whether something else had the CPU of the host's thread meanwhile.
    """

    nanoseconds: npt.NDArray[np.float64]
    preempted: npt.NDArray[np.bool_]


def host_round_trips(
    lab: Lab,
    node: Node,
    command: Sequence[str],
    offset: int,
    *,
    count: int,
    warm_up: int,
    patience: float,
    timeout: float,
) -> Looks:
    """Store numbers through numpy, and look through numpy until the node has answered each.

    Parameters
    ----------
    lab : Lab
    node : Node
        Who answers.
    command : sequence of str
        The probe program's, without role and meeting.
    offset : int
        Where in FAM: 256 bytes.
    count, warm_up : int
        Round trips that are kept, and those before them that are not.
    patience : float
        Whole seconds that the node waits for the host.
    timeout : float
        Seconds for all of it.

    Raises
    ------
    ProbeError
        If the node does not answer each.
    """
    lab.fam.write(offset, bytes(256))
    over = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1, "host-look") as pool:
        looking = pool.submit(_look, lab, offset, warm_up + count, over)
        try:
            arguments = {node: [*command, "--role", "echo"]}
            lines = together(lab, arguments, patience=patience, timeout=timeout, unit="answers")
        finally:
            over.set()  # the node is gone, or has answered all
        times, preempted = looking.result()
    line = one_line(lines, node, "visibility")
    line.choice("role", ["echo"])
    answered = line.integer("messages", 0, 1 << 62)
    if not answered == len(times) == warm_up + count:
        raise ProbeError(
            f"{node.name} says that it answered {answered} of {warm_up + count} stores of the host's, and "
            f"{len(times)} answers were seen"
        )
    return Looks(np.array(times[warm_up:], float), np.array(preempted[warm_up:], bool))


def _look(lab: Lab, offset: int, count: int, over: threading.Event) -> tuple[list[int], list[bool]]:
    """Play the host's part; ends early if it is over."""
    words = lab.fam.array("u8", offset, _BACK + 1, writable=True)
    times: list[int] = []
    preempted: list[bool] = []
    switches = _switches()
    for number in range(1, count + 1):
        looks = 0
        began = time.perf_counter_ns()
        words[0] = number
        while words[_BACK] != number:
            looks += 1
            if looks % _LOOKS == 0 and over.is_set():
                return times, preempted
        times.append(time.perf_counter_ns() - began)
        before, switches = switches, _switches()
        preempted.append(switches != before)
    words[0] = _STOP
    return times, preempted


def _switches() -> int:
    used = resource.getrusage(resource.RUSAGE_THREAD)
    return used.ru_nvcsw + used.ru_nivcsw
