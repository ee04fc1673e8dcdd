"""A lab taken elsewhere: each node as a domain of libvirt's, and as QEMU's own command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fame_lab.errors import SpecError
from fame_lab.guest import appliance
from fame_lab.guest.image import SHELL, Boot, KernelBoot
from fame_lab.host import accel
from fame_lab.host.domain_xml import domain_xml
from fame_lab.host.qemu_args import qemu_args
from fame_lab.host.record import NodeRecord
from fame_lab.spec import LabSpec

__all__ = ["SSH_PORT", "Exported", "domains", "fam_path", "to_qemu_args", "to_xml"]

#: The port of 127.0.0.1 that leads to the first node's SSH server, and the next to the next node's: of what
#: was exported nobody asks QEMU which it chose.
SSH_PORT = 2201

#: What a node boots, and what is its own, as :func:`fame_lab.host.domain_xml.domain_xml` takes it.
Exported = tuple[Boot, Mapping[str, Path | str]]


def to_xml(spec: LabSpec, *, ssh_port: int = SSH_PORT) -> dict[str, str]:
    """Write each node's domain; see :meth:`fame_lab.LabSpec.to_xml`."""
    image = appliance.ensure()
    boot = KernelBoot(image.kernel, image.initrd, image.cmdline(tsc_khz=None))
    return domains(spec, {node: (boot, {"node": node}) for node in spec.node_names}, ssh_port)


def to_qemu_args(spec: LabSpec, *, ssh_port: int = SSH_PORT) -> dict[str, list[str]]:
    """Write each node's command line; see :meth:`fame_lab.LabSpec.to_qemu_args`."""
    return {node: qemu_args(xml) for node, xml in to_xml(spec, ssh_port=ssh_port).items()}


def fam_path(spec: LabSpec) -> Path:
    """Say where FAM is: by default where whoever QEMU runs as can make it, which QEMU does."""
    return spec.fam_path or Path(f"/dev/shm/fame-{spec.name}.fam")  # noqa: S108 - SECURITY.md says what of it


def domains(spec: LabSpec, nodes: Mapping[str, Exported], ssh_port: int) -> dict[str, str]:
    """Write the domain of each node, by its name.

    Raises
    ------
    SpecError
        If `trace` is set, the ports are none, or FAM is too large for the accelerator.
    """
    if spec.trace:
        raise SpecError("trace is True: in a lab alone is there a reader of counts; export with trace=False")
    if not 1 <= ssh_port <= 65536 - spec.nodes:
        raise SpecError(f"ssh_port is {ssh_port}: give 1 to {65536 - spec.nodes}, for {spec.nodes} in a row")
    # KVM that is asked for by name is not tried: it is for elsewhere.
    accelerator = accel.choose(spec.accel, appliance.ensure() if spec.accel == "auto" else None)
    if spec.accel != "kvm":
        accelerator.check_addressable(spec.fam_size)
    written = {}
    for index, (node, (boot, personal)) in enumerate(nodes.items()):
        record = NodeRecord(
            spec=spec,
            index=index,
            fam_path=str(fam_path(spec)),
            fam_identity=(0, 0),
            fam_created=False,
            accelerator=accelerator.kind,
            accelerator_reason=accelerator.reason,
            image="",
        )
        written[node] = domain_xml(
            record,
            boot,
            console=None,
            personal={**personal, SHELL: "yes"},
            user=None,
            models=None,
            ssh_port=ssh_port + index,
            metadata=record.to_exported_element(),
        )
    return written
