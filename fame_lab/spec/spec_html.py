"""A spec as HTML for a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fame_lab.core.html import facts_html
from fame_lab.core.sizes import format_size

if TYPE_CHECKING:
    from fame_lab.spec.lab_spec import LabSpec

__all__ = ["spec_facts", "spec_html"]


def spec_html(spec: LabSpec) -> str:
    """Return a spec as HTML."""
    return facts_html("spec", f"LabSpec {spec.name}", "", spec_facts(spec))


def spec_facts(spec: LabSpec) -> dict[str, str]:
    """Return the facts of a lab for a reader, each by its label."""
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
