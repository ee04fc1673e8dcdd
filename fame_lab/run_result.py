"""What a command in a guest came to."""

from __future__ import annotations

from dataclasses import dataclass

from fame_lab.errors import CommandError

__all__ = ["RunResult", "shortened"]


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


def shortened(text: str, most: int = 120) -> str:
    """Quote a text for a message, cut to `most` characters: a guest may have written it."""
    return repr(text if len(text) <= most else text[: most - 1] + "…")
