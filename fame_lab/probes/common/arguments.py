"""The place of a measurement: a node, and a range of FAM or of the node's own DRAM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fame_lab.core.numeric import whole
from fame_lab.core.sanitize import quoted
from fame_lab.core.sizes import parse_size
from fame_lab.errors import ProbeError, SpecError

if TYPE_CHECKING:
    from fame_lab.host.target import TargetLab, TargetNode
__all__ = ["FAM", "MAPPINGS", "MEMORIES", "check_offset", "fam_options", "find_node", "find_nodes"]

#: FAM inside a guest.
FAM = "/dev/fam"

#: How a guest's CPU can be asked to treat FAM: uncached, write-combining, write-back.
MAPPINGS = ("uc", "wc", "wb")

#: What can be measured: the node's own memory, and what all nodes share.
MEMORIES = ("dram", "fam")


def find_node(lab: TargetLab, node: int | str) -> TargetNode:
    """Return a node by its number, from 0, or its name.

    Raises
    ------
    ProbeError
        If the lab has none such.
    """
    index = whole(node)
    for candidate in lab.nodes:
        if (isinstance(node, str) and node == candidate.name) or index == candidate.index:
            return candidate
    names = ", ".join(candidate.name for candidate in lab.nodes)
    raise ProbeError(f"there is no node {quoted(node)}; there are {names}, numbered from 0")


def find_nodes(lab: TargetLab, nodes: Sequence[int | str] | None, least: int) -> list[TargetNode]:
    """Return several nodes, each once; all of the lab for None.

    Raises
    ------
    ProbeError
        If the lab has none such, one is there twice, or they are fewer than `least`.
    """
    chosen = list(lab.nodes) if nodes is None else [find_node(lab, node) for node in nodes]
    names = [node.name for node in chosen]
    if len(set(names)) != len(names):
        raise ProbeError(f"nodes is {quoted(nodes)}: each node can be there once")
    if len(names) < least:
        listing = f"only {', '.join(names)}" if names else "none"
        raise ProbeError(f"this takes {least} node{'s' * (least > 1)} or more, and there is {listing}")
    return chosen


def fam_options(mapping: str) -> list[str]:
    """Return the probe program's options for FAM, mapped as asked for.

    Parameters
    ----------
    mapping : {"uc", "wc", "wb"}
        The BAR's resource file, its write-combining one, or /dev/mem; what the kernel makes of it is in
        the line that the program writes.
    """
    return ["--fam", FAM, "--mapping", mapping]


def check_offset(lab: TargetLab, offset: int | str, size: int, multiple: int) -> int:
    """Return where in FAM a probe measures, if `size` bytes from there are the user's.

    Raises
    ------
    SpecError
        If the range is not before the control area.
    """
    at = parse_size(offset, "offset")
    room = lab.fam.control.offset
    if at + size > room:
        most = (room - size) // multiple * multiple
        advice = f"the largest offset that fits is {most}" if most >= 0 else "start the lab with a larger fam"
        raise SpecError(
            f"{size} bytes from offset {quoted(offset)} do not fit in FAM, "
            f"of which the first {room} bytes are the user's: {advice}"
        )
    return at
