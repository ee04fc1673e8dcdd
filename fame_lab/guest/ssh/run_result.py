"""What a command in a guest came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fame_lab.core.sanitize import plain, shortened
from fame_lab.errors import CommandError
from fame_lab.guest.ssh.run_html import run_html, runs_html

__all__ = ["RunResult", "RunResults"]


@dataclass(frozen=True)
class RunResult:
    """What a command in a guest came to.

    Parameters
    ----------
    stdout, stderr : str
        Decoded as UTF-8; bytes that are none become U+FFFD.
    exit_status : int
    seconds : float
        On the host's clock, from the request to the status.
    command, node : str
    """

    stdout: str
    stderr: str
    exit_status: int
    seconds: float
    command: str = ""
    node: str = ""

    def check(self) -> RunResult:
        """Return itself, or raise CommandError if the status is not 0."""
        if self.exit_status == 0:
            return self
        said = (self.stderr or self.stdout).strip().splitlines()[-5:]
        raise CommandError(
            f"{self.node}: {shortened(self.command)} ended with status {self.exit_status}"
            + (": " + " | ".join(map(shortened, said)) if said else " and said nothing"),
            self,
        )

    def _repr_html_(self) -> str:
        return run_html(self)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(self.as_text())

    def as_text(self) -> str:
        """Give node, status and both streams, for a terminal, which they cannot steer."""
        head = f"{self.node}: exit status {self.exit_status}, {self.seconds:.2f} s"
        return "\n".join(
            [head, *(plain(stream.rstrip("\n")) for stream in (self.stdout, self.stderr) if stream)]
        )


class RunResults(dict[str, RunResult]):
    """What a command came to on several nodes, by the node's name."""

    def check(self) -> RunResults:
        """Return itself, or raise CommandError of the first, in order, whose status is not 0."""
        for result in self.values():
            result.check()
        return self

    def _repr_html_(self) -> str:
        return runs_html(self)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text("\n".join(result.as_text() for result in self.values()))
