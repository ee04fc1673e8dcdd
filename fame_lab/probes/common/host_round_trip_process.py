"""The host's part in a round trip, as a program.

``python -m fame_lab.probes.common.host_round_trip_process PATH OFFSET COUNT`` runs it.

It is a process of its own because it looks through a mapping: if FAM's file is truncated meanwhile, SIGBUS
ends this process and not the notebook. It prints the times and whether it was preempted, as JSON.
"""

from __future__ import annotations

import json
import mmap
import resource
import sys
import time
from pathlib import Path

import numpy as np

__all__ = ["BACK", "play"]

BACK = 16  # words from the host's line to the node's, 128 bytes
_STOP = (1 << 64) - 1


def play(path: Path, offset: int, count: int) -> tuple[list[int], list[bool]]:
    """Store numbers through numpy until each is answered; return nanoseconds, and preemptions."""
    with path.open("r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    words = np.frombuffer(mapping, "u8", BACK + 1, offset)
    times: list[int] = []
    preempted: list[bool] = []
    switches = _switches()
    for number in range(1, count + 1):
        began = time.perf_counter_ns()
        words[0] = number
        while words[BACK] != number:
            pass
        times.append(time.perf_counter_ns() - began)
        before, switches = switches, _switches()
        preempted.append(switches != before)
    words[0] = _STOP
    return times, preempted


def _switches() -> int:
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_nvcsw + usage.ru_nivcsw


if __name__ == "__main__":
    json.dump(play(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])), sys.stdout)
