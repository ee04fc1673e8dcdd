"""The result of a command in a guest: output, errors, status, seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fame_lab.core.html import render
from fame_lab.core.sanitize import plain, shortened
from fame_lab.errors import CommandError

__all__ = ["RunResult", "RunResults", "run_html"]

#: Characters of a stream that are shown; all of them are in the result.
_MAX_SHOWN = 20_000
_MAX_COMMAND = 200

_RUN = """\
<div class="fame-run" style="overflow-wrap:anywhere">
<strong>{{ run.node }}</strong> <code>{{ command }}</code> {% if run.exit_status %}
<strong>exit status {{ run.exit_status }}</strong>
{%- else %}exit status 0{% endif %}, {{ "%.2f" % run.seconds }} s
{% for text, style in streams if text %}
<pre style="margin:.2em 0 .2em 1em;max-height:24em;overflow:auto{{ style }}">{{ text }}</pre>
{% endfor %}
</div>"""


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
        """Return node, status and both streams, for a terminal, which they cannot steer."""
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
        return "\n".join(run_html(result) for result in self.values())

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text("\n".join(result.as_text() for result in self.values()))


def run_html(result: RunResult) -> str:
    """Write what a command came to, each stream in a box of bounded height."""
    streams = [
        (_cut(result.stdout), ""),
        (_cut(result.stderr), ";border-left:3px solid;padding-left:.5em;opacity:.85"),
    ]
    return render(_RUN, run=result, command=_first_line(result.command), streams=streams)


def _first_line(command: str) -> str:
    first, _, more = command.strip().partition("\n")
    cut = first[:_MAX_COMMAND]
    return f"{cut} …" if more or cut != first else first


def _cut(text: str) -> str:
    if len(text) <= _MAX_SHOWN:
        return text
    return f"{text[:_MAX_SHOWN]}\n… {len(text) - _MAX_SHOWN:,} characters more"
