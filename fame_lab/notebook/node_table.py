"""The table of nodes: one row each, as its host sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from fame_lab.core.sizes import MIB
from fame_lab.lab.node_stats import NodeStats

__all__ = ["node_rows"]

_TABLE = """\
<div class="fame-scroll"><table class="fame-nodes"><thead><tr>
<th style="width:5.5em">node</th><th style="width:8em">state</th><th style="width:9.5em">SSH</th>
<th class="fame-number" style="width:6em">CPU</th><th class="fame-number" style="width:6.5em">memory</th>
<th class="fame-number" style="width:5.5em">up</th><th>console's last line</th>
</tr></thead><tbody>{rows}</tbody></table></div>"""

_ROW = """\
<tr data-node="{node}" data-state="{state}"><th>{node}</th><td>{mark} {state}</td><td>{ssh}</td>
<td class="fame-number">{cpu}</td><td class="fame-number">{memory}</td><td class="fame-number">{up}</td>
<td class="fame-console" title="{console}">{console}</td></tr>"""

# A sign of its own for each, beside the colour.
_GOOD, _COMING, _BAD = (
    f'<span style="color:{colour}" aria-hidden="true">{sign}</span>'
    for colour, sign in (("#2f9e5f", "●"), ("#c98500", "◐"), ("#dc4545", "✕"))
)
_ENDED = ("gone", "off", "crashed", "unknown")


def node_rows(names: Sequence[str], vitals: Sequence[NodeStats], stages: Mapping[str, str]) -> str:
    """Write the table.

    Parameters
    ----------
    names : sequence of str
        Every node that the lab has or is to have.
    vitals : sequence of NodeStats
        Of those that there are.
    stages : mapping
        By the node's name, how far it has come, of a lab that is starting or was started here.

    Examples
    --------
    >>> "ready" in node_rows(["node01"], [NodeStats("node01", "running")], {"node01": "ready"})
    True
    """
    seen = {each.node: each for each in vitals}
    return _TABLE.format(rows="".join(_row(name, seen.get(name), stages.get(name)) for name in names))


def _row(name: str, vitals: NodeStats | None, stage: str | None) -> str:
    state = _state(vitals, stage)
    good = state in ("ready", "running")
    mark = _GOOD if good else _BAD if state in _ENDED else _COMING
    told = {"port": None, "cpu": None, "memory": None, "uptime": None} if vitals is None else vars(vitals)
    return _ROW.format(
        node=escape(name),
        state=escape(state),
        mark=mark,
        ssh="" if told["port"] is None else f"127.0.0.1:{told['port']}",
        cpu="" if told["cpu"] is None else f"{told['cpu']:.0%}",
        memory="" if told["memory"] is None else f"{told['memory'] / MIB:.0f} MiB",
        up="" if told["uptime"] is None else _duration(told["uptime"]),
        console=escape(vitals.console) if vitals is not None else "",
    )


def _state(vitals: NodeStats | None, stage: str | None) -> str:
    """Return what libvirt sees, and of a node that runs, how far it has come."""
    if vitals is None:
        return stage if stage not in (None, "ready") else "gone"
    if stage is not None and (vitals.state == "running" or stage == "creating"):
        return stage
    return vitals.state


def _duration(seconds: float) -> str:
    whole = max(int(seconds), 0)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
