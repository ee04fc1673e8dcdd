"""The litmus tests: what each node does, and which outcomes x86-TSO allows.

An outcome is *sequential* if taking the nodes' instructions one at a time, in some order, gives it;
*relaxed* if only a memory model weaker than that does and x86 is one; *forbidden* if x86 promises that it
never is. Sources: P. Sewell, S. Sarkar, S. Owens, F. Zappa Nardelli, M. O. Myreen, x86-TSO: A Rigorous and
Usable Programmer's Model for x86 Multiprocessors, CACM 2010, and S. Owens, S. Sarkar, P. Sewell, A Better
x86 Memory Model: x86-TSO, TPHOLs 2009; Intel SDM, volume 3, "Guaranteed Atomic Operations" and "Memory
Ordering in P6 and More Recent Processor Families". They speak of memory that is written back; what is
uncached is ordered more strictly still, what is write-combined is not ordered so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

__all__ = ["FORBIDDEN", "RELAXED", "SEQUENTIAL", "TESTS", "LitmusTest"]

SEQUENTIAL, RELAXED, FORBIDDEN = "sequential", "relaxed", "forbidden"


@dataclass(frozen=True)
class LitmusTest:
    """A small program for several nodes.

    Parameters
    ----------
    name : str
        As the probe program knows it, and the literature.
    program : str
        What each node does; x and y are 0 before.
    nodes : int
        How many play.
    outcomes : tuple of str
        In the probe program's order.
    telling : str
        The one that is not sequential.
    verdict : str
        What x86 says of that one: ``"relaxed"`` or ``"forbidden"``.
    """

    name: str
    program: str
    nodes: int
    outcomes: tuple[str, ...]
    telling: str
    verdict: str

    def verdict_on(self, outcome: str) -> str:
        """Return ``"sequential"``, ``"relaxed"`` or ``"forbidden"``."""
        return self.verdict if outcome == self.telling else SEQUENTIAL


def _registers(values: Sequence[int]) -> str:
    return " ".join(f"r{number}={value}" for number, value in enumerate(values, 1))


def _ordering(name: str, program: str, telling: Sequence[int], verdict: str, *, nodes: int = 2) -> LitmusTest:
    outcomes = tuple(map(_registers, product((0, 1), repeat=len(telling))))
    return LitmusTest(name, program, nodes, outcomes, _registers(telling), verdict)


def _tearing(name: str, program: str, verdict: str) -> LitmusTest:
    return LitmusTest(name, program, 2, ("old", "new", "torn"), "torn", verdict)


#: By name, in the order in which they are played.
TESTS = {
    test.name: test
    for test in (
        _ordering("SB", "x=1; r1=y ‖ y=1; r2=x", (0, 0), RELAXED),
        _ordering("SB+mfences", "x=1; mfence; r1=y ‖ y=1; mfence; r2=x", (0, 0), FORBIDDEN),
        _ordering("MP", "x=1; y=1 ‖ r1=y; r2=x", (1, 0), FORBIDDEN),
        _ordering("LB", "r1=x; y=1 ‖ r2=y; x=1", (1, 1), FORBIDDEN),
        _ordering("IRIW", "x=1 ‖ y=1 ‖ r1=x; r2=y ‖ r3=y; r4=x", (1, 0, 1, 0), FORBIDDEN, nodes=4),
        _tearing("torn-8", "8 bytes, aligned", FORBIDDEN),
        # Intel and AMD have promised it since CPUs have AVX, AMD for cacheable memory; the probe program
        # cannot count on AVX, and an emulator that has it need not keep the promise (QEMU 7.2 does not).
        _tearing("torn-16", "16 bytes by movdqa, aligned", RELAXED),
        _tearing("torn-8-split", "8 bytes across two lines", RELAXED),
    )
}
