"""The panel's texts about its lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fame_lab.core.html import render
from fame_lab.errors import HostError
from fame_lab.notebook.html import error_html
from fame_lab.notebook.node_table import node_rows
from fame_lab.spec.spec_html import spec_facts

if TYPE_CHECKING:
    from fame_lab.lab.lab import Lab
    from fame_lab.notebook.lab_poller import HostSnapshot
    from fame_lab.notebook.lab_session import LabSession
    from fame_lab.spec.lab_spec import LabSpec

__all__ = ["facts_html", "rows_html", "title_html"]

_FACTS = """\
<details><summary>{{ spec }}</summary>
{{ facts("spec", "LabSpec " ~ spec.name, "", values) }}
</details>"""


def rows_html(session: LabSession, snapshot: HostSnapshot) -> str:
    """Write the nodes, as they were seen last; nothing while there is no lab."""
    lab = session.lab
    if lab is None or not (lab.is_running or session.doing):
        return ""
    looked = snapshot.lab == lab.spec.name
    if not looked and not session.stages:
        return ""  # taken up a moment ago: not seen is not gone
    vitals = snapshot.vitals if looked else ()
    unseen = error_html("the nodes cannot be seen", HostError(snapshot.error)) if snapshot.error else ""
    return unseen + node_rows(lab.spec.node_names, vitals, session.stages)


def title_html(lab: Lab | None, doing: str) -> str:
    """Write which lab it is and what is being done with it."""
    if lab is None:
        words = f"{doing} …" if doing else "no lab yet"
    else:
        state = f"{doing} …" if doing else "running" if lab.is_running else "not started"
        words = f"{lab.spec.name}: {state}"
    return render('<span class="fame-title">fame_lab</span> &nbsp; {{ words }}', words=words)


def facts_html(spec: LabSpec) -> str:
    """Write what the lab is, folded to a line."""
    return render(_FACTS, spec=spec, values=spec_facts(spec))
