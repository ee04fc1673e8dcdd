"""A node's record, and its boot."""

from pathlib import Path

from fame_lab.guest.images.base import KernelBoot
from fame_lab.host.libvirt.metadata import NodeRecord
from fame_lab.spec.lab_spec import LabSpec

BOOT = KernelBoot(Path("/k"), Path("/i"), "console=ttyS0 quiet")
CONSOLE = Path("/c & <d>")
OWN = {"host_key": Path("/lab/node01.own.host_key")}


def record(**fields: object) -> NodeRecord:
    """Return the record of the first node of a lab, but for `fields`."""
    values = {
        "spec": LabSpec("demo", fam="1G"),
        "index": 0,
        "fam_path": "/dev/shm/fam",  # noqa: S108
        "fam_identity": (1, 2),
        "fam_created": True,
        "accelerator": "tcg",
        "accelerator_reason": "",
        "image": "",
    }
    return NodeRecord(**(values | fields))  # type: ignore[arg-type]
