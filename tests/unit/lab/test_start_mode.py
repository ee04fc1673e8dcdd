"""Nodes that are restored from a template: each is a node of its own, and nothing of the making is left."""

import pytest

from fame_lab import LabSpec
from fame_lab.lab import template


def restored(name: str, **fields: object) -> LabSpec:
    """Describe a lab that is restored, whatever the host's accelerator."""
    usual = {"nodes": 2, "fam": "1M", "start": "template"}
    return LabSpec(name, **(usual | fields))  # type: ignore[arg-type]


#: A host and an image with nothing in the way.
SOUND = {
    "cores": 2,
    "accelerator": "tcg",
    "image_supports_restore": True,
    "libvirt_passes_fds": True,
    "room": 1 << 30,
}


def hindrance(spec: LabSpec, **conditions: object) -> str:
    return template.cold_start_reason(spec, **(SOUND | conditions))  # type: ignore[arg-type]


def test_auto_restores_more_nodes_than_the_host_has_cores() -> None:
    assert hindrance(LabSpec("x", nodes=3)) == ""
    assert "cores" in hindrance(LabSpec("x", nodes=2))
    assert hindrance(restored("x")) == ""
    assert "asked for" in hindrance(LabSpec("x", nodes=40, start="cold"))


def test_under_kvm_nodes_are_restored_if_it_is_asked_for() -> None:
    assert "KVM" in hindrance(LabSpec("x", nodes=40), accelerator="kvm")
    assert hindrance(restored("x"), accelerator="kvm") == ""


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"image_supports_restore": False}, "appliance"),
        ({"libvirt_passes_fds": False}, "8.2"),
        ({"room": 127 << 20}, "room for 127M"),
    ],
)
def test_what_cannot_be_restored_safely_boots_cold_and_says_why(
    conditions: dict[str, object], words: str
) -> None:
    assert words in hindrance(restored("x", nodes=8), **conditions)


def test_a_fam_that_a_restored_node_has_no_room_for_boots_cold() -> None:
    assert hindrance(restored("x", fam="256G")) == ""
    assert "256G" in hindrance(restored("x", fam="512G"))
