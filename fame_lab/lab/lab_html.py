"""Labs and nodes as HTML for a notebook, from data alone, escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fame_lab.core.html import facts_html
from fame_lab.core.sizes import format_size
from fame_lab.spec.spec_html import spec_facts

if TYPE_CHECKING:
    from fame_lab.spec.lab_spec import LabSpec

__all__ = ["lab_html", "node_html"]


def lab_html(spec: LabSpec, *, running: bool) -> str:
    """Write what a lab is and whether this object has it running."""
    state = f"running: {_names(spec)}" if running else "not started"
    return facts_html("lab", f"Lab {spec.name}", state, spec_facts(spec))


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
    return facts_html("node", name, "", facts)


def _names(spec: LabSpec) -> str:
    names = spec.node_names
    return ", ".join(names) if len(names) <= 4 else f"{names[0]} to {names[-1]}"
