"""The libvirt domain of a node, as FAME describes it.

FAM is on QEMU's own command line: libvirt's ``<shmem>`` can only live in /dev/shm, and stays behind when its
domain dies. It is at 00:09.0, outside the slots that libvirt gives to other devices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from fame_lab.guest.images.base import CONTROL_MAC, PERSONAL, Boot, DiskBoot, KernelBoot
from fame_lab.host.libvirt.metadata import NodeRecord
from fame_lab.host.libvirt.nic import Nic
from fame_lab.host.qemu_user import QemuUser
from fame_lab.host.trace_plugin import TracePlugin

__all__ = ["domain_name", "domain_xml"]

QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
ElementTree.register_namespace("qemu", QEMU_NAMESPACE)

#: Slots on pcie.0: of the NIC for SSH, and of FAM as FAME has it.
NET_SLOT = "0x8"
FAM_SLOT = "0x9"
DISK_SLOTS = {"vda": "0x4", "vdb": "0x5"}
#: Code cache of TCG: 32 MiB keep a node at about 160 MB resident, where the default takes 1 GiB at worst.
TB_CACHE_MIB = 32
#: A whole distribution runs so much more code that with 32 MiB a boot translates a third of it anew.
TB_CACHE_DISK_MIB = 64
#: Features that an emulated CPU is denied. `rep movsb` is emulated byte by byte. With `erms` (it is fast) a
#: boot takes 0.3 s more, and the kernel's copies to FAM make eight times the accesses. `fsrm` (fast for short
#: strings too), which QEMU emulates from 8.1 on, has to go as well: Linux 6.1 takes it to imply `erms`. With
#: `fsrm` alone its memmove (arch/x86/lib/memmove_64.S) copies short strings by a loop for long ones,
#: overwrites memory, and hangs before /init. Linux 6.12 boots with both, either or none.
SLOW_STRINGS = ("erms", "fsrm")
#: An emulated domain has room for this many CPUs at least, though its guest may have one. With room for one,
#: TCG translates for a single thread: a locked instruction becomes load, add, store, before QEMU 8.1 a fence
#: nothing, and what two nodes add gets lost.
LEAST_CPUS = 2


def domain_name(lab: str, node: str) -> str:
    """Return libvirt's name of a node."""
    return f"fame-{lab}-{node}"


def domain_xml(
    record: NodeRecord,
    boot: Boot,
    *,
    console: Path | None,
    personal: Mapping[str, Path | str],
    user: QemuUser | None,
    models: set[str] | None,
    trace: TracePlugin | None = None,
    arguments: Sequence[str] = (),
    fam: bool = True,
    card: Nic | None = None,
    ssh_port: int = 0,
    metadata: Element | None = None,
) -> str:
    """Return the domain of one node.

    Parameters
    ----------
    record : NodeRecord
        The node's description, which is also the domain's metadata.
    boot : KernelBoot or DiskBoot
    console : Path, optional
        The file of the serial line, which libvirt's log daemon writes, in bounded size. Without one it is a
        pseudo-terminal, for ``virsh console``.
    personal : mapping of str to Path or str
        The node's own data, by their name in the guest: a file, or text that is no secret.
    user : QemuUser, optional
        The user that libvirt runs QEMU as, if another.
    models : set of str, optional
        Security drivers of this libvirt; None for an unknown libvirt, which labels files in its own way.
    trace : TracePlugin, optional
        Loaded to count the node's accesses.
    arguments : sequence of str
        More for QEMU's command line, as a template or a node restored from one needs.
    fam : bool
        Whether it has FAM; a template has none.
    card : Nic, optional
        Its NIC in the lab's own network, if the lab has one.
    ssh_port : int
        The port of 127.0.0.1 that leads to the node's SSH server; by default QEMU chooses.
    metadata : Element, optional
        Metadata in place of the record.

    Returns
    -------
    str
        XML for ``virDomainCreateXML``, or ``virDomainDefineXML``.
    """
    spec = record.spec
    domain = Element("domain", type="kvm" if record.accelerator == "kvm" else "qemu")
    SubElement(domain, "name").text = domain_name(spec.name, record.node)
    SubElement(domain, "metadata").append(record.to_element() if metadata is None else metadata)
    SubElement(domain, "memory", unit="b").text = str(spec.memory_size)
    cpus = max(spec.vcpus, LEAST_CPUS) if record.accelerator == "tcg" else spec.vcpus
    SubElement(domain, "vcpu", current=str(spec.vcpus)).text = str(cpus)
    _add_boot(domain, boot, personal)
    features = SubElement(domain, "features")
    SubElement(features, "acpi")
    if record.accelerator == "tcg":
        cache = SubElement(SubElement(features, "tcg"), "tb-cache", unit="MiB")
        cache.text = str(TB_CACHE_DISK_MIB if isinstance(boot, DiskBoot) else TB_CACHE_MIB)
        cpu = SubElement(domain, "cpu", mode="maximum")
        for name in SLOW_STRINGS:
            SubElement(cpu, "feature", policy="disable", name=name)
    else:
        cpu = SubElement(domain, "cpu", mode="host-passthrough")
        SubElement(cpu, "maxphysaddr", mode="passthrough")
    SubElement(domain, "on_poweroff").text = "destroy"
    SubElement(domain, "on_reboot").text = "restart"
    SubElement(domain, "on_crash").text = "destroy"
    _add_devices(domain, boot, console, card, record.emulator)
    _add_labels(domain, user, models)
    _add_qemu_arguments(
        domain,
        [
            *_traced(trace),
            *arguments,
            *(_fam(record) if fam else ()),
            *_forwarded(ssh_port),
            *(card.arguments() if card else ()),
        ],
    )
    if record.accelerator == "tcg":
        _skip_cpu_check(domain)
    ElementTree.indent(domain)  # people read it too
    return ElementTree.tostring(domain, encoding="unicode")


def _add_boot(domain: Element, boot: Boot, personal: Mapping[str, Path | str]) -> None:
    system = SubElement(domain, "os")
    SubElement(system, "type", arch="x86_64", machine="q35").text = "hvm"
    if isinstance(boot, KernelBoot):
        SubElement(system, "kernel").text = str(boot.kernel)
        SubElement(system, "initrd").text = str(boot.initrd)
        SubElement(system, "cmdline").text = boot.cmdline
    if personal:
        configuration = SubElement(domain, "sysinfo", type="fwcfg")
        for name, content in personal.items():
            entry = SubElement(configuration, "entry", name=f"{PERSONAL}/{name}")
            # A secret is in a file: anybody may read a command line.
            if isinstance(content, Path):
                entry.set("file", str(content))
            else:
                entry.text = content


def _add_devices(domain: Element, boot: Boot, console: Path | None, card: Nic | None, emulator: str) -> None:
    devices = SubElement(domain, "devices")
    if emulator:
        SubElement(devices, "emulator").text = emulator
    SubElement(devices, "controller", type="usb", model="none")
    SubElement(devices, "memballoon", model="none")
    if isinstance(boot, DiskBoot):
        _add_disk(devices, "vda", boot.disk, "qcow2", boot.base if boot.kept else None)
        if not boot.kept:
            SubElement(devices[-1], "transient", shareBacking="yes")
        if boot.seed is not None:
            _add_disk(devices, "vdb", boot.seed, "raw")
    if card is not None:
        card.add_interface(devices)
    serial = SubElement(devices, "serial", type="pty" if console is None else "file")
    if console is not None:
        SubElement(serial, "source", path=str(console))
    SubElement(serial, "target", type="isa-serial", port="0")


def _add_disk(devices: Element, target: str, path: Path, form: str, base: Path | None = None) -> None:
    disk = SubElement(devices, "disk", type="file", device="disk")
    # The format is given: a guest could write another format's header onto a raw disk, and have it opened as
    # that. If the file system is full, the guest gets an error; by default libvirt would stop the node.
    SubElement(disk, "driver", name="qemu", type=form, error_policy="report", discard="unmap")
    SubElement(disk, "source", file=str(path))
    if base is not None:
        # The backing file is given too: a user's image could name any file.
        backing = SubElement(disk, "backingStore", type="file")
        SubElement(backing, "format", type="qcow2")
        SubElement(backing, "source", file=str(base))
        SubElement(backing, "backingStore")
    SubElement(disk, "target", dev=target, bus="virtio")
    if form == "raw":
        SubElement(disk, "readonly")
    SubElement(disk, "address", type="pci", bus="0x00", slot=DISK_SLOTS[target])


def _add_labels(domain: Element, user: QemuUser | None, models: set[str] | None) -> None:
    if models is None:
        # It disables libvirt's first driver there: AppArmor's and SELinux's keep QEMU from FAM.
        SubElement(domain, "seclabel", type="none")
        return
    if user is not None and "dac" in models:
        # libvirt must not change the owner of the kernel, which labs share, nor of FAM.
        label = SubElement(domain, "seclabel", type="static", model="dac", relabel="no")
        SubElement(label, "label").text = f"+{user.uid}:+{user.gid}"
    if "apparmor" in models:
        # libvirt makes its profile from the devices that it knows, and FAM is none of them.
        SubElement(domain, "seclabel", type="none", model="apparmor")


def _skip_cpu_check(domain: Element) -> None:
    """Spare QEMU all but 3 of libvirt's 330 questions about its CPU.

    At each start libvirt compares the CPU with the requested one, property by property. That takes 0.3 s of
    processor time a node (measured on libvirt 9.0). An emulated CPU lacks no feature.
    """
    capabilities = SubElement(domain, f"{{{QEMU_NAMESPACE}}}capabilities")
    SubElement(capabilities, f"{{{QEMU_NAMESPACE}}}del", capability="cpu-unavailable-features")


def _add_qemu_arguments(domain: Element, arguments: Sequence[str]) -> None:
    commandline = SubElement(domain, f"{{{QEMU_NAMESPACE}}}commandline")
    for argument in arguments:
        SubElement(commandline, f"{{{QEMU_NAMESPACE}}}arg", value=argument)


def _traced(trace: TracePlugin | None) -> list[str]:
    if trace is None:
        return []
    return ["-plugin", trace.argument]


def _fam(record: NodeRecord) -> list[str]:
    return [
        "-object",
        f"memory-backend-file,mem-path={record.fam_path},size={record.spec.fam_size},id=FAM,share=on",
        "-device",
        f"ivshmem-plain,memdev=FAM,bus=pcie.0,addr={FAM_SLOT}",
    ]


def _forwarded(ssh_port: int) -> list[str]:
    return [
        # With port 0 QEMU chooses, so no other program can take the port in between. `restrict` keeps the
        # guest off the host's own loopback. It has no boot ROM: no node boots from this NIC.
        "-netdev",
        f"user,id=ssh,restrict=on,hostfwd=tcp:127.0.0.1:{ssh_port}-:22",
        "-device",
        f"virtio-net-pci,netdev=ssh,mac={CONTROL_MAC},bus=pcie.0,addr={NET_SLOT},romfile=",
    ]
