"""How labs, nodes and what ran on them show themselves in a notebook: from data alone, and escaped.

Colours are the page's own, so that it is readable in dark and in light themes.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from fame_lab.core.sizes import format_size

if TYPE_CHECKING:
    from fame_lab.guest.ssh.run_result import RunResult
    from fame_lab.spec.lab_spec import LabSpec

__all__ = ["lab_html", "node_html", "run_html", "runs_html", "spec_html"]

#: Characters of a stream that are shown; all of them are in the result.
_MOST = 20_000
_MOST_OF_A_COMMAND = 200

_FACTS = """\
<div class="fame-{kind}"><strong>{title}</strong> {state}
<table><tbody>{rows}</tbody></table></div>"""

_RUN = """\
<div class="fame-run" style="overflow-wrap:anywhere">
<strong>{node}</strong> <code>{command}</code> {status}, {seconds:.2f} s
{streams}</div>"""

_STREAM = '<pre style="margin:.2em 0 .2em 1em;max-height:24em;overflow:auto{style}">{text}</pre>'


def spec_html(spec: LabSpec) -> str:
    """Write what a lab is."""
    return _facts("spec", f"LabSpec {spec.name}", "", _of_spec(spec))


def lab_html(spec: LabSpec, *, running: bool) -> str:
    """Write what a lab is and whether this object has it running."""
    state = f"running: {_names(spec)}" if running else "not started"
    return _facts("lab", f"Lab {spec.name}", state, _of_spec(spec))


def node_html(name: str, spec: LabSpec) -> str:
    """Write which node it is, and of what."""
    facts = {
        "lab": spec.name,
        "CPUs": str(spec.vcpus),
        "memory": format_size(spec.memory_size),
        "FAM": f"{format_size(spec.fam_size)}, shared by {spec.nodes} nodes",
    }
    if spec.addresses is not None:
        facts["address"] = str(spec.addresses.address(spec.node_names.index(name)))
    return _facts("node", name, "", facts)


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


def _of_spec(spec: LabSpec) -> dict[str, str]:
    facts = {
        "nodes": str(spec.nodes),
        "FAM": f"{format_size(spec.fam_size)} ({spec.books})",
        "each node": f"{spec.vcpus} CPU, {format_size(spec.memory_size)}",
        "accelerator": spec.accel,
        "image, network, start": f"{spec.image}, {spec.network}, {spec.start}",
        "trace": "each access to FAM can be counted" if spec.trace else "no",
    }
    if spec.addresses is not None:
        last = spec.addresses.address(spec.nodes - 1)
        facts["addresses"] = f"{spec.addresses.address(0)} to {last}, in {spec.subnet}"
    if spec.qemu != "auto":
        facts["QEMU"] = str(spec.qemu)
    if spec.fam_path is not None:
        facts["FAM's file"] = str(spec.fam_path)
    return facts


def _names(spec: LabSpec) -> str:
    names = spec.node_names
    return ", ".join(names) if len(names) <= 4 else f"{names[0]} to {names[-1]}"


def _facts(kind: str, title: str, state: str, facts: Mapping[str, str]) -> str:
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in facts.items()
    )
    return _FACTS.format(kind=kind, title=escape(title), state=escape(state), rows=rows)


def _first_line(command: str) -> str:
    first, _, more = command.strip().partition("\n")
    cut = first[:_MOST_OF_A_COMMAND]
    return f"{cut} …" if more or cut != first else first


def _stream(text: str, style: str) -> str:
    if not text:
        return ""
    shown = text if len(text) <= _MOST else f"{text[:_MOST]}\n… {len(text) - _MOST:,} characters more"
    return _STREAM.format(style=style, text=escape(shown))
