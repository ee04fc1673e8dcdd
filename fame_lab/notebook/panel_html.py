"""The panel's texts about its lab."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from fame_lab.errors import HostError
from fame_lab.notebook.html import error_html
from fame_lab.notebook.node_table import node_rows
from fame_lab.spec.spec_html import spec_html

if TYPE_CHECKING:
    from fame_lab.lab.lab import Lab
    from fame_lab.notebook.lab_poller import HostSnapshot
    from fame_lab.notebook.lab_session import LabSession
    from fame_lab.spec.lab_spec import LabSpec

__all__ = ["facts_html", "rows_html", "title_html"]


def rows_html(holding: LabSession, sight: HostSnapshot) -> str:
    """Write the nodes, as they were seen last; nothing while there is no lab."""
    lab = holding.lab
    if lab is None or not (lab.is_running or holding.doing):
        return ""
    looked = sight.lab == lab.spec.name
    if not looked and not holding.stages:
        return ""  # taken up a moment ago: not seen is not gone
    vitals = sight.vitals if looked else ()
    unseen = error_html("the nodes cannot be seen", HostError(sight.error)) if sight.error else ""
    return unseen + node_rows(lab.spec.node_names, vitals, holding.stages)


def title_html(lab: Lab | None, doing: str) -> str:
    """Write which lab it is and what is being done with it."""
    if lab is None:
        said = "no lab yet" if not doing else f"{doing} …"
    else:
        said = f"{lab.spec.name}: {doing + ' …' if doing else 'running' if lab.is_running else 'not started'}"
    return f'<span class="fame-title">fame_lab</span> &nbsp; {escape(said)}'


def facts_html(spec: LabSpec) -> str:
    """Write what the lab is, folded to a line."""
    return f"<details><summary>{escape(str(spec))}</summary>{spec_html(spec)}</details>"
