"""The part of a lab and of its nodes that probes and recordings use.

:class:`fame_lab.Lab` is one. :class:`fame_lab.testing.LocalLab` is another: its nodes are programs on this
host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from fame_lab.host.fam import Fam
from fame_lab.host.libvirt.domain import Domain
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["TargetLab", "TargetNode"]

T = TypeVar("T")


class TargetNode(Protocol):
    """A node that a probe runs its program in."""

    @property
    def name(self) -> str:
        """Its name, such as ``node01``."""

    @property
    def index(self) -> int:
        """Its number, from 0."""

    @property
    def domain(self) -> Domain:
        """Its virtual machine."""

    @property
    def state(self) -> str:
        """The state of its domain, such as ``running``."""

    def probe(self, *arguments: str, timeout: float | None = None) -> list[dict[str, Any]]:
        """Run the probe program, and return its records."""


class TargetLab(Protocol):
    """Nodes around one FAM."""

    @property
    def spec(self) -> LabSpec:
        """The spec that it was started from."""

    @property
    def fam(self) -> Fam:
        """Its memory, from the host's side."""

    @property
    def nodes(self) -> Sequence[TargetNode]:
        """Its nodes, in order."""

    @property
    def progress(self) -> bool:
        """Whether it shows progress."""

    @property
    def qemu_version(self) -> int:
        """The version of its QEMU, numbered like libvirt's."""

    def each(self, nodes: Sequence[Any], do: Callable[[Any], T]) -> dict[str, T]:
        """Call a function with several nodes at once, in a thread each; return its results by node's name."""

    def manifest(self) -> dict[str, Any]:
        """Return the provenance of its measurements."""
