"""The proof that a node shares the FAM: the host writes and the node reads, and the other way round."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from fame_lab.core.sanitize import quoted
from fame_lab.errors import CommandError, SharingError

if TYPE_CHECKING:
    from fame_lab.host.fam import Fam
    from fame_lab.lab.node import Node

__all__ = ["PROOF_SECONDS", "prove_sharing"]

#: Seconds that the proof may take.
PROOF_SECONDS = 60.0


def prove_sharing(fam: Fam, node: Node) -> None:
    """Pass a nonce each way, so that a mistyped path or ``share=off`` cannot go unnoticed.

    Raises
    ------
    SharingError
        If the node has no FAM, or another one.
    """
    control = fam.control
    ours, theirs = secrets.randbits(64), secrets.randbits(64)
    fam.write(control.host_nonce(node.index), ours.to_bytes(8, "little"), control=True)
    options = ["prove", "--fam", "/dev/fam", "--size", str(fam.size)]
    options += ["--read", str(control.host_nonce(node.index)), "--write", str(control.node_nonce(node.index))]
    try:
        records = node.probe(*options, f"{theirs:#x}", timeout=PROOF_SECONDS)
    except CommandError as error:
        raise SharingError(f"{node.name} does not have the FAM: {error}") from error
    if [line.get("read") for line in records] != [f"{ours:#018x}"]:
        raise SharingError(
            f"{node.name} does not share {fam.path}: the host wrote {ours:#018x}, "
            f"the node read {quoted(records)}"
        )
    nonce = int.from_bytes(fam.read(control.node_nonce(node.index), 8), "little")
    if nonce != theirs:
        raise SharingError(
            f"{node.name} does not share {fam.path}: the node wrote {theirs:#018x}, "
            f"the host reads {nonce:#018x}"
        )
