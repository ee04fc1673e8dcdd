"""The table of nodes: one row each, as its host sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fame_lab.core.html import render
from fame_lab.core.sizes import MIB
from fame_lab.lab.node_stats import NodeStats

__all__ = ["node_rows"]

_TABLE = """\
<div class="fame-scroll"><table class="fame-nodes"><thead><tr>
<th style="width:5.5em">node</th><th style="width:8em">state</th><th style="width:9.5em">SSH</th>
<th class="fame-number" style="width:6em">CPU</th><th class="fame-number" style="width:6.5em">memory</th>
<th class="fame-number" style="width:5.5em">up</th><th>console's last line</th>
</tr></thead><tbody>
{% for node, state, (colour, sign), ssh, cpu, memory, up, console in rows %}
<tr data-node="{{ node }}" data-state="{{ state }}"><th>{{ node }}</th>
<td><span style="color:{{ colour }}" aria-hidden="true">{{ sign }}</span> {{ state }}</td><td>{{ ssh }}</td>
<td class="fame-number">{{ cpu }}</td><td class="fame-number">{{ memory }}</td>
<td class="fame-number">{{ up }}</td><td class="fame-console" title="{{ console }}">{{ console }}</td></tr>
{% endfor %}
</tbody></table></div>"""

# A sign of its own for each, beside the colour.
_GOOD, _COMING, _BAD = ("#2f9e5f", "●"), ("#c98500", "◐"), ("#dc4545", "✕")
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
    stats = {each.node: each for each in vitals}
    rows = [_row(name, stats.get(name, NodeStats(name, "")), stages.get(name)) for name in names]
    return render(_TABLE, rows=rows)


def _row(name: str, vitals: NodeStats, stage: str | None) -> tuple[object, ...]:
    state = _state(vitals, stage)
    good = state in ("ready", "running")
    return (
        name,
        state,
        _GOOD if good else _BAD if state in _ENDED else _COMING,
        "" if vitals.port is None else f"127.0.0.1:{vitals.port}",
        "" if vitals.cpu is None else f"{vitals.cpu:.0%}",
        "" if vitals.memory is None else f"{vitals.memory / MIB:.0f} MiB",
        "" if vitals.uptime is None else _duration(vitals.uptime),
        vitals.console,
    )


def _state(vitals: NodeStats, stage: str | None) -> str:
    """Return what libvirt sees, and of a node that runs, how far it has come."""
    if not vitals.state:  # it is not seen
        return stage if stage not in (None, "ready") else "gone"
    if stage is not None and (vitals.state == "running" or stage == "creating"):
        return stage
    return vitals.state


def _duration(seconds: float) -> str:
    whole = max(int(seconds), 0)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
