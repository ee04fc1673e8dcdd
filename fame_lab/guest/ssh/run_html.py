"""A command that ran on a node, as it shows itself in a notebook: escaped, in the page's own colours."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fame_lab.guest.ssh.run_result import RunResult

__all__ = ["run_html", "runs_html"]

#: Characters of a stream that are shown; all of them are in the result.
_MOST = 20_000
_MOST_OF_A_COMMAND = 200

_RUN = """\
<div class="fame-run" style="overflow-wrap:anywhere">
<strong>{node}</strong> <code>{command}</code> {status}, {seconds:.2f} s
{streams}</div>"""

_STREAM = '<pre style="margin:.2em 0 .2em 1em;max-height:24em;overflow:auto{style}">{text}</pre>'


def run_html(result: RunResult) -> str:
    """Write what a command came to, each stream in a box of bounded height."""
    streams = [
        _stream(result.stdout, ""),
        _stream(result.stderr, ";border-left:3px solid;padding-left:.5em;opacity:.85"),
    ]
    failed = f"<strong>exit status {result.exit_status}</strong>"
    return _RUN.format(
        node=escape(result.node),
        command=escape(_first_line(result.command)),
        status=failed if result.exit_status else "exit status 0",
        seconds=result.seconds,
        streams="".join(streams),
    )


def runs_html(results: Mapping[str, RunResult]) -> str:
    """Write what a command came to on several nodes."""
    return "\n".join(run_html(result) for result in results.values())


def _first_line(command: str) -> str:
    first, _, more = command.strip().partition("\n")
    cut = first[:_MOST_OF_A_COMMAND]
    return f"{cut} …" if more or cut != first else first


def _stream(text: str, style: str) -> str:
    if not text:
        return ""
    shown = text if len(text) <= _MOST else f"{text[:_MOST]}\n… {len(text) - _MOST:,} characters more"
    return _STREAM.format(style=style, text=escape(shown))
