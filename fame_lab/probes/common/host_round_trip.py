"""The age of the host's view through numpy: a round trip to a node that answers at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fame_lab.errors import ProbeError
from fame_lab.probes.common.barrier import run_at_barrier, single_record

if TYPE_CHECKING:
    from fame_lab.host.target import TargetLab, TargetNode
__all__ = ["host_round_trips"]

_KILL_TIMEOUT = 10.0


def host_round_trips(
    lab: TargetLab,
    node: TargetNode,
    command: Sequence[str],
    offset: int,
    *,
    count: int,
    warm_up: int,
    peer_timeout: float,
    timeout: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
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
    peer_timeout : float
        Whole seconds that the node waits for the host.
    timeout : float
        Seconds for all of it.

    Returns
    -------
    nanoseconds, preempted : ndarray
        From before the host's store until its look at the answer was over; and whether something else had
        the CPU of the host's thread meanwhile.

    Raises
    ------
    ProbeError
        If the node does not answer each.
    """
    lab.fam.write(offset, bytes(256))
    words = [sys.executable, "-P", "-m", "fame_lab.probes.common.host_round_trip_process"]
    with subprocess.Popen(
        [*words, str(lab.fam.path), str(offset), str(warm_up + count)], stdout=subprocess.PIPE
    ) as player:
        try:
            arguments = {node: [*command, "--role", "echo"]}
            lines = run_at_barrier(lab, arguments, peer_timeout=peer_timeout, timeout=timeout, unit="answers")
            stdout, _ = player.communicate(timeout=_KILL_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise ProbeError(f"the host did not see all answers of {node.name}") from None
        finally:
            player.kill()  # the node is gone, or has answered all
    if player.returncode:
        lab.fam.check()  # raises if the file was truncated
        raise ProbeError(f"the host's part ended with status {player.returncode}")
    times, preempted = json.loads(stdout)
    line = single_record(lines, node, "visibility")
    line.choice("role", ["echo"])
    answered = line.integer("messages", 0, 1 << 62)
    if not answered == len(times) == warm_up + count:
        raise ProbeError(
            f"{node.name} says that it answered {answered} of {warm_up + count} stores of the host's, and "
            f"{len(times)} answers were seen"
        )
    return np.array(times[warm_up:], float), np.array(preempted[warm_up:], bool)
