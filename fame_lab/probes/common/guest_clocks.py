"""Clocks: what nodes report of theirs, and what the host sees meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fame_lab.errors import FameError, ProbeError
from fame_lab.probes.common.batches import Batches, read_batches
from fame_lab.probes.common.clock_sync import ClockSync, Readings
from fame_lab.probes.common.program_output import OutputRecord

if TYPE_CHECKING:
    from fame_lab.host.target import TargetLab, TargetNode
__all__ = ["CLOCKS", "DIFFERENCES", "ClockReport", "measure"]

#: What is read: the guest's CLOCK_MONOTONIC_RAW, and the time stamp counter by itself.
CLOCKS = ("clock", "tsc")

#: How many differences between reads of the clock a node reports.
DIFFERENCES = 1000


@dataclass(frozen=True)
class ClockReport:
    """One node's clock, as the node and the host measured it.

    Parameters
    ----------
    costs : dict of str to Batches
        By what was read, one of :data:`CLOCKS`; an operation is a read.
    differences : ndarray of shape (look,)
        Nanoseconds between reads of the clock that follow each other.
    khz : float
        Of the time stamp counter, by that clock.
    mapping : str
        The kernel's effective memory type of FAM's mapping.
    readings : Readings
    """

    costs: dict[str, Batches]
    differences: npt.NDArray[np.float64]
    khz: float
    mapping: str
    readings: Readings

    @property
    def step_ns(self) -> float:
        """The smallest difference above zero."""
        return float(self.differences[self.differences > 0].min())


def measure(
    lab: TargetLab, nodes: Sequence[TargetNode], words: Sequence[str], count: int, timeout: float
) -> dict[str, ClockReport | FameError]:
    """Run the program's ``timer`` on nodes, all at once, and watch their clocks meanwhile.

    Parameters
    ----------
    lab : Lab
    nodes : sequence of Node
    words : sequence of str
        The program's options, without those of question and answer.
    count : int
        How many batches it was asked for.
    timeout : float
        Seconds.

    Returns
    -------
    dict
        By the node's name: its report, or the error in place of one.
    """
    control = lab.fam.control

    def run_timer(node: TargetNode) -> Any:
        question, answer = control.question(node.index), control.answer(node.index)
        places = ["--question", str(question), "--answer", str(answer)]
        try:
            return node.probe("timer", *places, *words, timeout=timeout)
        except FameError as error:
            return error

    with ClockSync(lab, nodes) as watch:
        outputs = lab.each(nodes, run_timer)
    reports: dict[str, ClockReport | FameError] = {}
    for name, readings in watch.readings().items():
        lines = outputs[name]
        try:
            reports[name] = lines if isinstance(lines, FameError) else _read(name, lines, count, readings)
        except ProbeError as error:
            reports[name] = error
    return reports


def _read(name: str, lines: list[dict[str, Any]], count: int, readings: Readings) -> ClockReport:
    expected = [*CLOCKS, "step", "clocks"]
    if len(lines) != len(expected):
        raise ProbeError(f"{name}: the probe wrote {len(lines)} lines instead of {len(expected)}")
    parts = {}
    for line, of in zip(lines, expected, strict=True):
        parts[of] = OutputRecord(line, name)
        parts[of].choice("probe", ["timer"])
        parts[of].choice("of", [of])
    differences = np.array(parts["step"].integers("difference_ns", DIFFERENCES, 0, 10**12), float)
    if not differences.any():
        raise ProbeError(
            f"{name}: its clock stood still for {DIFFERENCES} reads, so that it can time nothing"
        )
    return ClockReport(
        {clock: read_batches(parts[clock], "reads", count) for clock in CLOCKS},
        differences,
        parts["clocks"].number("khz", 1, 1e9),
        parts["clocks"].mapping(),
        readings,
    )
