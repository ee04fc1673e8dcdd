"""Working sets: from what a first-level cache holds to what no cache does, as far as the memories go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fame_lab.core.sizes import KIB, MIB, parse_size
from fame_lab.errors import ProbeError, SpecError
from fame_lab.host import cpu_caches
from fame_lab.probes.common.arguments import check_offset
from fame_lab.probes.common.program_output import OutputRecord
from fame_lab.results.plots import size_label

if TYPE_CHECKING:
    from fame_lab.host.target import TargetLab, TargetNode
__all__ = ["LARGEST", "SMALLEST", "WorkingSets", "default_limit", "plan_working_sets"]

SMALLEST = 4 * KIB
#: Where the default ends at the latest: a virtual machine may report the L3 of a whole server as its own.
LARGEST = 256 * MIB
#: Where it ends if the host does not tell its caches.
UNTOLD = 64 * MIB
#: Memory that a node may lose between the question and the measurement.
_MARGIN = MIB


@dataclass(frozen=True)
class WorkingSets:
    """What is measured in which memory.

    Parameters
    ----------
    offset : int
        Where in FAM they begin.
    sizes : list of int
        Bytes.
    room : dict of str to int
        By memory, how many bytes it has for them. Those that are larger are not measured there.
    cut_short : str
        What was not measured, and why; empty if there is nothing to say.
    """

    offset: int
    sizes: list[int]
    room: dict[str, int]
    cut_short: str

    def runs(self, sweeps: int) -> int:
        """Return how often the probe program runs: to ask for the room, and for so many sweeps a memory."""
        measured = sum(min(self.sizes) <= room for room in self.room.values())
        return ("dram" in self.room) + sweeps * measured


def default_limit() -> tuple[int, str]:
    """Return how far the default goes: four times the host's last cache, up to a power of two.

    Returns
    -------
    int
        Bytes.
    str
        Why it is not that; empty if it is.
    """
    cache = cpu_caches.last_cache()
    if cache is None:
        return UNTOLD, f"the range ends at {size_label(UNTOLD)}: the host does not tell its caches"
    limit = 1 << (4 * cache - 1).bit_length()
    if limit > LARGEST:
        return LARGEST, (
            f"the range ends at {size_label(LARGEST)}: 4 times the last cache, which the host gives as "
            f"{size_label(cache)}, would take too long"
        )
    return limit, ""


def plan_working_sets(
    lab: TargetLab,
    node: TargetNode,
    memories: Sequence[str],
    sizes: Sequence[int | str] | None,
    offset: int | str,
    *,
    step: int,
    multiple: int = 1,
) -> WorkingSets:
    """Return the working sets asked for, or the default ones, and how much room each memory has for them.

    Parameters
    ----------
    lab : Lab
    node : Node
        Who measures; it is asked how much memory it can spare.
    memories : sequence of {"dram", "fam"}
    sizes : sequence of int or str, optional
        By default from 4 KiB to :func:`default_limit`, or to the largest power of two that each memory has
        room for.
    offset : int or str
        Where in FAM, a multiple of 64.
    step : int
        The factor between two default ones.
    multiple : int
        What each has to be a multiple of.

    Raises
    ------
    SpecError
        If one is not such a multiple, or is to be measured in FAM and does not fit there.
    ProbeError
        If no memory has room for any.
    """
    explicit = None if sizes is None else _parse(sizes, multiple)
    in_fam = 0 if "fam" not in memories else SMALLEST if explicit is None else max(explicit)
    at = check_offset(lab, offset, in_fam, 64)
    room = {each: _spare(node) if each == "dram" else lab.fam.control.offset - at for each in memories}
    limit, why = (max(explicit), "") if explicit else default_limit()
    chosen = explicit or sorted({size for most in room.values() for size in _powers(min(limit, most), step)})
    return WorkingSets(at, chosen, room, "; ".join(_cut_short(node, room, chosen, limit, why)))


def _parse(sizes: Sequence[int | str], multiple: int) -> list[int]:
    values = [parse_size(size, "working set") for size in sizes]
    for size in values:
        if size % multiple:
            raise SpecError(f"a working set of {size} bytes cannot be", hint=f"give a multiple of {multiple}")
    return values


def _powers(most: int, step: int) -> list[int]:
    """Return sizes from the smallest on, each `step` times the one before, and the largest power of two."""
    last = 1 << (most.bit_length() - 1)
    sizes = []
    size = SMALLEST
    while size < last:
        sizes.append(size)
        size *= step
    return [*sizes, last] if last >= SMALLEST else [SMALLEST]


def _spare(node: TargetNode) -> int:
    lines = node.probe("memory")
    if len(lines) != 1:
        raise ProbeError(f"{node.name}: the probe wrote {len(lines)} lines instead of one")
    fields = OutputRecord(lines[0], node.name)
    fields.choice("probe", ["memory"])
    return max(fields.integer("spare", 0, 1 << 62) - _MARGIN, 0)


def _cut_short(node: TargetNode, room: dict[str, int], sizes: list[int], limit: int, why: str) -> list[str]:
    where = {"dram": f"{node.name}'s memory", "fam": "FAM's user part"}
    reached = {memory: max((s for s in sizes if s <= bytes_), default=0) for memory, bytes_ in room.items()}
    cut = [
        f"{memory.upper()} {f'ends at {size_label(end)}' if end else 'is not measured'}: "
        f"{where[memory]} has room for {room[memory] >> 10:,} KiB"
        for memory, end in reached.items()
        if end < limit
    ]
    if not any(reached.values()):
        raise ProbeError(
            f"no working set fits: {'; '.join(cut)}",
            hint="give smaller ones, or start the lab with more memory",
        )
    return [why, *cut] if why else cut
