"""A lab whose nodes run the probe program on this host, against one file.

A test with it shows that the program works, and that its records become the right result. It says nothing
about real nodes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fame_lab.core import native
from fame_lab.core.jobs import parallel
from fame_lab.errors import CommandError
from fame_lab.host.fam import Fam
from fame_lab.probes.common import program_output
from fame_lab.probes.common.program_step import program_run
from fame_lab.spec.lab_spec import LabSpec

__all__ = ["LocalLab", "LocalNode"]

T = TypeVar("T")


@dataclass(frozen=True)
class LocalNode:
    """A node that is a program on this host.

    Parameters
    ----------
    name : str
        Such as ``node01``.
    index : int
        Its number, from 0.
    fam : Path
        The file that stands for FAM.
    """

    name: str
    index: int
    fam: Path

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Return the command that runs the probe program on this host, as :meth:`probe` does."""
        command = [str(self.fam) if word == "/dev/fam" else word for word in arguments]
        if "--mapping" in command:  # which a plain file has not
            at = command.index("--mapping")
            del command[at : at + 2]
        return [str(native.PROBE.binary()), *command]

    def probe(self, *arguments: str, timeout: float | None = None) -> list[dict[str, Any]]:
        """Run the probe program, and return its records.

        Parameters
        ----------
        *arguments : str
            The program's command and options; ``/dev/fam`` is this lab's file.
        timeout : float, optional
            Seconds.

        Returns
        -------
        list of dict
            One for each line of JSON that it wrote.

        Raises
        ------
        CommandError
            If the program refuses.
        ProbeError
            If what it wrote is not the JSON that it should be.
        """
        with program_run(self.name, arguments):
            process = subprocess.run(
                self.command(arguments), capture_output=True, text=True, timeout=timeout, check=False
            )
            if process.returncode != 0:
                raise CommandError(f"{self.name}: status {process.returncode}: {process.stderr.strip()}")
        return program_output.parse_output(process.stdout, self.name)


@dataclass(frozen=True)
class LocalLab:
    """What a probe needs of a lab, on this host.

    Parameters
    ----------
    fam : Fam
    nodes : list of LocalNode
    spec : LabSpec
    progress : bool
        Whether it shows how far it is.

    Examples
    --------
    >>> import tempfile
    >>> from fame_lab.probes import pingpong
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     lab = LocalLab.make(Path(directory))
    ...     result = pingpong.run(lab, variants=["cas"], batches=30, batch_ms=1)
    >>> result.dataset["latency"].dims
    ('variant', 'batch')
    """

    fam: Fam
    nodes: list[Any] = field(default_factory=list)
    spec: LabSpec = field(default_factory=lambda: LabSpec("local"))
    progress: bool = True

    @classmethod
    def make(cls, directory: Path, nodes: int = 2, size: int = 4 << 20, **fields: Any) -> LocalLab:
        """Create a lab whose FAM is a file in a directory.

        Parameters
        ----------
        directory : Path
        nodes : int
        size : int
            Bytes of FAM.
        **fields
            Further fields of its :class:`fame_lab.LabSpec`, such as ``layout``.

        Returns
        -------
        LocalLab

        Raises
        ------
        SpecError
            If a field cannot be right.
        """
        fam = Fam.create(directory / "fam", size)
        spec = LabSpec("local", nodes=nodes, fam=size, fam_path=fam.path, **fields)
        return cls(fam, [LocalNode(f"node{i + 1:02}", i, fam.path) for i in range(nodes)], spec)

    def each(self, nodes: Sequence[Any], do: Callable[[Any], T]) -> dict[str, T]:
        """Do something with several nodes at once, in a thread each, and return it by the node's name."""
        return parallel.each(self.spec.name, nodes, do)

    def manifest(self) -> dict[str, Any]:
        """Return where its measurements come from, which is no virtual machine."""
        return {"accelerator": {"kind": "tcg", "reason": "a stand-in"}, "seed": None}
