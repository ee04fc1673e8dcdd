from pathlib import Path
from xml.etree import ElementTree

import pytest
from node_records import BOOT, CONSOLE, OWN, record

from fame_lab.errors import SpecError
from fame_lab.guest.images.base import Boot, DiskBoot
from fame_lab.host.libvirt.domain_xml import domain_xml
from fame_lab.host.libvirt.metadata import NodeRecord
from fame_lab.host.libvirt.qemu_args import qemu_args
from fame_lab.spec.lab_spec import LabSpec


def words(node: NodeRecord | None = None, boot: Boot = BOOT, console: Path | None = None) -> list[str]:
    return qemu_args(xml(node or record(), boot, console))


def xml(node: NodeRecord, boot: Boot = BOOT, console: Path | None = None) -> str:
    return domain_xml(node, boot, console=console, personal=OWN | {"node": "a,b"}, user=None, models=None)


def after(arguments: list[str], flag: str) -> str:
    return arguments[arguments.index(flag) + 1]


def test_says_what_the_domain_says() -> None:
    arguments = words()
    assert arguments[0] == "qemu-system-x86_64"
    assert after(arguments, "-machine") == "q35,usb=off"
    assert after(arguments, "-accel") == "tcg,tb-size=32"
    assert after(arguments, "-cpu") == "max,erms=off,fsrm=off"
    assert after(arguments, "-smp") == "1,maxcpus=2"
    assert after(arguments, "-m") == "128M"
    assert after(arguments, "-append") == BOOT.cmdline
    assert after(arguments, "-object").startswith("memory-backend-file,mem-path=/dev/shm/fam,")
    assert after(arguments, "-sandbox").startswith("on,")


def test_kvm_has_the_hosts_processor_and_its_addresses() -> None:
    arguments = words(record(accelerator="kvm"))
    assert after(arguments, "-accel") == "kvm"
    assert after(arguments, "-cpu") == "host,host-phys-bits=on"


def test_a_pseudo_terminal_becomes_the_terminal_and_a_file_stays_one() -> None:
    assert after(words(), "-serial") == "mon:stdio"
    assert after(words(console=CONSOLE), "-serial") == f"file:{CONSOLE}"


def test_what_is_a_nodes_own_is_a_file_or_a_text_with_its_commas_doubled() -> None:
    arguments = words()
    assert "name=opt/fame_lab/host_key,file=/lab/node01.own.host_key" in arguments
    assert "name=opt/fame_lab/node,string=a,,b" in arguments


def test_a_disk_has_its_form_given() -> None:
    arguments = words(boot=DiskBoot(Path("/a,b.qcow2"), Path("/base.qcow2"), Path("/seed")))
    assert "if=none,id=vda,format=qcow2,file=/a,,b.qcow2" in arguments
    assert "if=none,id=vdb,format=raw,file=/seed,readonly=on" in arguments
    assert "virtio-blk-pci,drive=vda,bus=pcie.0,addr=0x4" in arguments
    assert "-kernel" not in arguments


def test_a_disk_that_keeps_nothing_is_not_written_to() -> None:
    arguments = words(boot=DiskBoot(Path("/base.qcow2"), Path("/base.qcow2"), kept=False))
    assert "if=none,id=vda,format=qcow2,file=/base.qcow2,snapshot=on" in arguments


def test_what_plain_qemu_cannot_be_given_is_not_left_out_without_a_word() -> None:
    domain = ElementTree.fromstring(xml(record()))  # noqa: S314
    ElementTree.SubElement(domain.find("devices"), "tpm")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="<tpm>"):
        qemu_args(ElementTree.tostring(domain, encoding="unicode"))


def test_the_qemu_of_the_domain_is_the_command() -> None:
    assert qemu_args(xml(record()))[0] == "qemu-system-x86_64"
    assert qemu_args(xml(record(spec=LabSpec("demo", qemu="/opt/q/qemu"))))[0] == "/opt/q/qemu"
