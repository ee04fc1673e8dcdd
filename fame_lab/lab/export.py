"""A lab taken elsewhere: each node as a domain of libvirt's, and as QEMU's own command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fame_lab.core.numeric import whole
from fame_lab.core.sanitize import quoted
from fame_lab.errors import SpecError
from fame_lab.guest.images import appliance, catalog
from fame_lab.guest.images.appliance import Appliance
from fame_lab.guest.images.base import SHELL, Boot, DiskBoot, KernelBoot
from fame_lab.guest.images.debian import DiskImage
from fame_lab.host import accelerator as accel
from fame_lab.host import qemu_cache
from fame_lab.host.libvirt import network
from fame_lab.host.libvirt.domain_xml import domain_xml
from fame_lab.host.libvirt.metadata import NodeRecord
from fame_lab.host.libvirt.nic import Nic
from fame_lab.host.libvirt.qemu_args import qemu_args
from fame_lab.host.qemu import Qemu
from fame_lab.lab.network import node_network
from fame_lab.spec.lab_spec import LabSpec

__all__ = [
    "SSH_PORT",
    "Exported",
    "command_lines",
    "domains",
    "fam_path",
    "networks",
    "to_qemu_args",
    "to_xml",
]

#: The port of 127.0.0.1 that leads to the first node's SSH server, and the next to the next node's: of what
#: was exported nobody asks QEMU which it chose.
SSH_PORT = 2201

#: What a node boots, and what is its own, as :func:`fame_lab.host.libvirt.domain_xml.domain_xml` takes it.
Exported = tuple[Boot, Mapping[str, Path | str]]


def to_xml(spec: LabSpec, *, ssh_port: int = SSH_PORT) -> dict[str, str]:
    """Write each node's domain; see :meth:`fame_lab.LabSpec.to_xml`."""
    return networks(spec) | domains(spec, _printed(spec), ssh_port)


def to_qemu_args(spec: LabSpec, *, ssh_port: int = SSH_PORT) -> dict[str, list[str]]:
    """Write each node's command line; see :meth:`fame_lab.LabSpec.to_qemu_args`."""
    return command_lines(spec, _printed(spec), ssh_port)


def _printed(spec: LabSpec) -> dict[str, Exported]:
    """Return what nodes boot that have nothing but the cache.

    Raises
    ------
    SpecError
        If the image is a user's own: its nodes need files to know who they are.
    """
    image = catalog.get(str(spec.image))
    catalog.check_memory(image, spec)
    boot: Boot
    if isinstance(image, Appliance):
        boot = KernelBoot(image.kernel, image.initrd, image.cmdline(tsc_khz=None))
    elif isinstance(image, DiskImage):
        boot = DiskBoot(image.disk, image.disk, kept=False)
    else:
        raise SpecError(
            f"image is {quoted(spec.image)}: nodes of your own image need files", hint="export to a folder"
        )
    return {node: (boot, {"node": node}) for node in spec.node_names}


def networks(spec: LabSpec) -> dict[str, str]:
    """Write the network of libvirt's that the domains are connected to, by the name ``network``, if any."""
    return {} if spec.addresses is None else {"network": network.network_xml(spec, exported=True)}


def command_lines(spec: LabSpec, nodes: Mapping[str, Exported], ssh_port: int) -> dict[str, list[str]]:
    """Write the command line of each node, by its name; see :func:`domains`."""
    return {node: qemu_args(xml) for node, xml in domains(spec, nodes, ssh_port, leased=False).items()}


def fam_path(spec: LabSpec) -> Path:
    """Return where FAM is: by default where whoever QEMU runs as can make it, which QEMU does."""
    return spec.fam_path or Path(f"/dev/shm/fame-{spec.name}.fam")  # noqa: S108 - SECURITY.md says what of it


def domains(
    spec: LabSpec, nodes: Mapping[str, Exported], ssh_port: int, *, leased: bool = True
) -> dict[str, str]:
    """Write the domain of each node, by its name.

    Parameters
    ----------
    spec : LabSpec
    nodes : mapping
        What each boots, and what is its own.
    ssh_port : int
        Of the first.
    leased : bool
        Whether the network gives the nodes their addresses, as libvirt's does.

    Raises
    ------
    SpecError
        If `trace` is set, the ports are none, FAM is too large, or an own disk is to have a network.
    """
    if spec.addresses is not None and any(
        isinstance(boot, DiskBoot) and boot.seed for boot, _ in nodes.values()
    ):
        raise SpecError(
            "image is your own disk and network is 'libvirt': what is exported cannot tell it its addresses",
            hint="export with network='user'",
        )
    if spec.trace:
        raise SpecError(
            "trace is True: in a lab alone is there a reader of counts", hint="export with trace=False"
        )
    first = whole(ssh_port)
    if first is None or not 1 <= first <= 65536 - spec.nodes:
        raise SpecError(
            f"ssh_port is {quoted(ssh_port)}",
            hint=f"give 1 to {65536 - spec.nodes}, for {spec.nodes} in a row",
        )
    qemu = qemu_cache.find(str(spec.qemu))
    # KVM that is asked for by name is not tried: it is for elsewhere.
    accelerator = accel.choose(
        spec.accel,
        appliance.ensure() if spec.accel == "auto" else None,
        qemu=qemu,
    )
    if spec.accel != "kvm":
        accelerator.check_addressable(spec.fam_size)
    xml_of = {}
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
            qemu=None if qemu is None else Qemu(qemu, 0),
        )
        nic, address_files = _connection(spec, index, leased)
        xml_of[node] = domain_xml(
            record,
            boot,
            console=None,
            personal={**personal, **address_files, SHELL: "yes"},
            card=nic,
            user=None,
            models=None,
            ssh_port=first + index,
            metadata=record.to_exported_element(),
        )
    return xml_of


def _connection(spec: LabSpec, index: int, leased: bool) -> tuple[Nic | None, dict[str, str]]:
    """Return a node's card in the lab's own network, if any, and what the node has to know of it."""
    if spec.addresses is None:
        return None, {}
    attachment = node_network(spec, spec.addresses, index, leased=leased)
    card = Nic(attachment.mac, network=network.network_name(spec.name))
    return card, {name: content.decode() for name, content in attachment.personal().items()}
