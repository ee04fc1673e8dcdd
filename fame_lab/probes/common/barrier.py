"""Several nodes that measure together: they start at one barrier, and none waits for one that is gone."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fame_lab.errors import FameError, ProbeError
from fame_lab.probes.common.host_contention import oversubscribed
from fame_lab.probes.common.program_output import OutputRecord
from fame_lab.spec.fam_layout import BARRIER_SIZE

if TYPE_CHECKING:
    from fame_lab.host.target import TargetLab, TargetNode
__all__ = ["run_at_barrier", "single_record"]

log = logging.getLogger(__name__)

Records = list[dict[str, Any]]


def run_at_barrier(
    lab: TargetLab,
    arguments: Mapping[TargetNode, Sequence[str]],
    *,
    peer_timeout: float,
    timeout: float,
    unit: str = "batches",
) -> dict[str, Records]:
    """Run the probe program on several nodes, each with its own arguments, from one barrier on.

    If one of them ends with an error or goes away, the others are released from waiting for it.

    Parameters
    ----------
    lab : Lab
    arguments : mapping of Node to sequence of str
        The program's command and options, without those of its meeting.
    peer_timeout : float
        Seconds, whole ones, that a node waits for another.
    timeout : float
        Seconds for all of it.
    unit : str
        What the program's progress counts, for the message.

    Returns
    -------
    dict of str to list of dict
        By the node's name: see :meth:`fame_lab.lab.node.Node.probe`.

    Raises
    ------
    ProbeError
        If a node could not end its part; it names the node, and says how far it got.
    """
    nodes = list(arguments)
    control = lab.fam.control
    barrier = control.barrier(0)
    # The last meeting may have ended halfway.
    lab.fam.write(barrier, bytes(BARRIER_SIZE), control=True)
    for node in nodes:
        lab.fam.write(control.release(node.index), bytes(8), control=True)
        lab.fam.write(control.progress(node.index), bytes(8), control=True)
    meeting = ["--barrier", str(barrier), "--parties", str(len(nodes)), "--timeout", str(round(peer_timeout))]
    if oversubscribed(len(nodes)):
        meeting += ["--yield", "1"]
    failed: list[tuple[TargetNode, FameError]] = []

    def release() -> None:
        for node in nodes:
            lab.fam.write(control.release(node.index), (1).to_bytes(8, "little"), control=True)

    def measure(node: TargetNode) -> Records:
        own = ["--release", str(control.release(node.index)), "--progress", str(control.progress(node.index))]
        try:
            return node.probe(*arguments[node], *meeting, *own, timeout=timeout)
        except FameError as error:
            # The first is the cause; the others fail because they are released.
            failed.append((node, error))
            release()
            return []

    try:
        records = lab.each(nodes, measure)
    except BaseException:
        release()
        raise
    if failed:
        node, error = failed[0]
        progress = int.from_bytes(lab.fam.read(control.progress(node.index), 8), "little")
        others = {1: "", 2: "; the other one was released"}.get(
            len(nodes), f"; the other {len(nodes) - 1} were released"
        )
        raise ProbeError(f"{node.name} had done {progress} {unit} when it failed: {error}{others}") from error
    return records


def single_record(records: Mapping[str, Records], node: TargetNode, probe: str) -> OutputRecord:
    """Return the only line of a node's output.

    Raises
    ------
    ProbeError
        If it wrote another number of lines, or another probe's.
    """
    lines = records[node.name]
    if len(lines) != 1:
        raise ProbeError(f"{node.name}: the probe wrote {len(lines)} lines instead of one")
    fields = OutputRecord(lines[0], node.name)
    fields.choice("probe", [probe])
    return fields
