"""A stand-in for a lab in unit tests: its nodes run the probe program on this host, against one file.

No VM, no SSH: what it shows is that the program and what is made of its lines work. That the numbers of
real nodes come out is for the tests marked ``vm``.
"""

from __future__ import annotations

import concurrent.futures
import contextvars
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fame_lab.core import native
from fame_lab.errors import CommandError, SSHError
from fame_lab.host.fam import Fam
from fame_lab.probes.common import program_output
from fame_lab.probes.common.program_step import program_run
from fame_lab.spec.lab_spec import LabSpec

T = TypeVar("T")


@dataclass(frozen=True)
class LocalNode:
    """What a probe needs of a node."""

    name: str
    index: int
    fam: Path

    def command(self, arguments: Sequence[str]) -> list[str]:
        command = [str(self.fam) if word == "/dev/fam" else word for word in arguments]
        if "--mapping" in command:  # which a plain file has not
            at = command.index("--mapping")
            del command[at : at + 2]
        return [str(native.PROBE.binary()), *command]

    def probe(self, *arguments: str, timeout: float | None = None) -> list[dict[str, Any]]:
        with program_run(self.name, arguments):
            done = subprocess.run(self.command(arguments), capture_output=True, text=True, timeout=timeout)
            if done.returncode != 0:
                raise CommandError(f"{self.name}: status {done.returncode}: {done.stderr.strip()}")
        return program_output.parse_output(done.stdout, self.name)


class DyingNode(LocalNode):
    """A node that goes away as soon as it has told some progress."""

    def probe(self, *arguments: str, **_: Any) -> list[dict[str, Any]]:
        progress = int(arguments[arguments.index("--progress") + 1])
        with (
            subprocess.Popen(self.command(arguments), stdout=subprocess.PIPE) as running,
            self.fam.open("rb", buffering=0) as file,
        ):
            while running.poll() is None and file.seek(progress) and not any(file.read(8)):
                time.sleep(0.001)
            running.kill()
        raise SSHError(f"{self.name} went away during the probe")


@dataclass(frozen=True)
class LocalLab:
    """What a probe needs of a lab."""

    fam: Fam
    nodes: list[Any] = field(default_factory=list)
    spec: LabSpec = field(default_factory=lambda: LabSpec("local"))
    progress: bool = True

    @classmethod
    def make(cls, directory: Path, nodes: int = 2, size: int = 4 << 20, **layout: Any) -> LocalLab:
        fam = Fam.create(directory / "fam", size)
        spec = LabSpec("local", nodes=nodes, fam=size, fam_path=fam.path, **layout)
        return cls(fam, [LocalNode(f"node{i + 1:02}", i, fam.path) for i in range(nodes)], spec)

    def each(self, nodes: Sequence[Any], do: Callable[[Any], T]) -> dict[str, T]:
        with concurrent.futures.ThreadPoolExecutor(len(nodes)) as pool:
            futures = {node.name: pool.submit(contextvars.copy_context().run, do, node) for node in nodes}
        return {name: future.result() for name, future in futures.items()}

    def manifest(self) -> dict[str, Any]:
        return {"accelerator": {"kind": "tcg", "reason": "a stand-in"}, "seed": None}
