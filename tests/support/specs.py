"""Specs of every kind, for hypothesis."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fame_lab.core.sizes import KIB, MIB
from fame_lab.spec.fam_layout import auto_book
from fame_lab.spec.lab_spec import CHOICES, TCG_FAM_LIMIT, LabSpec

_PRINTABLE = st.characters(exclude_categories=["C", "Z"], exclude_characters=",")


@st.composite
def specs(draw: st.DrawFn, /, **fixed: Any) -> LabSpec:
    """Draw a right spec; `fixed` fields are as given."""
    nodes = draw(st.integers(1, 40))
    most = TCG_FAM_LIMIT.bit_length() - 1
    fam = 1 << draw(st.integers(20, most))
    largest = auto_book(fam, nodes)
    fields: dict[str, Any] = {
        "name": draw(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,30}[A-Za-z0-9])?", fullmatch=True)),
        "nodes": nodes,
        "fam": fam,
        "book": 1 << draw(st.integers(min(KIB * 4, largest).bit_length() - 1, largest.bit_length() - 1)),
        "vcpus": draw(st.integers(1, 16)),
        "memory": draw(st.integers(128, 65536)) * MIB,
        "fam_path": draw(
            st.none() | st.text(_PRINTABLE, min_size=1, max_size=40).map(lambda text: Path(f"/{text}"))
        ),
    }
    fields["qemu"] = draw(
        st.just("auto") | st.text(_PRINTABLE, min_size=1, max_size=40).map(lambda text: f"/{text}")
    )
    for field, choices in CHOICES.items():
        fields[field] = draw(st.sampled_from(choices))
    fields |= fixed
    if fields["accel"] == "kvm" and "trace" not in fixed:
        fields["trace"] = False
    return LabSpec(**fields)


def fields_of(spec: LabSpec) -> set[str]:
    """Return the names of a spec's fields."""
    return {field.name for field in dataclasses.fields(spec)}
