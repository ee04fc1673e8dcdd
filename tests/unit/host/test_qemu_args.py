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


def after(told: list[str], flag: str) -> str:
    return told[told.index(flag) + 1]


def test_says_what_the_domain_says() -> None:
    told = words()
    assert told[0] == "qemu-system-x86_64"
    assert after(told, "-machine") == "q35,usb=off"
    assert after(told, "-accel") == "tcg,tb-size=32"
    assert after(told, "-cpu") == "max,erms=off,fsrm=off"
    assert after(told, "-smp") == "1,maxcpus=2"
    assert after(told, "-m") == "128M"
    assert after(told, "-append") == BOOT.cmdline
    assert after(told, "-object").startswith("memory-backend-file,mem-path=/dev/shm/fam,")
    assert after(told, "-sandbox").startswith("on,")


def test_kvm_has_the_hosts_processor_and_its_addresses() -> None:
    told = words(record(accelerator="kvm"))
    assert after(told, "-accel") == "kvm"
    assert after(told, "-cpu") == "host,host-phys-bits=on"


def test_a_pseudo_terminal_becomes_the_terminal_and_a_file_stays_one() -> None:
    assert after(words(), "-serial") == "mon:stdio"
    assert after(words(console=CONSOLE), "-serial") == f"file:{CONSOLE}"


def test_what_is_a_nodes_own_is_a_file_or_a_text_with_its_commas_doubled() -> None:
    told = words()
    assert "name=opt/fame_lab/host_key,file=/lab/node01.own.host_key" in told
    assert "name=opt/fame_lab/node,string=a,,b" in told


def test_a_disk_has_its_form_given() -> None:
    told = words(boot=DiskBoot(Path("/a,b.qcow2"), Path("/base.qcow2"), Path("/seed")))
    assert "if=none,id=vda,format=qcow2,file=/a,,b.qcow2" in told
    assert "if=none,id=vdb,format=raw,file=/seed,readonly=on" in told
    assert "virtio-blk-pci,drive=vda,bus=pcie.0,addr=0x4" in told
    assert "-kernel" not in told


def test_a_disk_that_keeps_nothing_is_not_written_to() -> None:
    told = words(boot=DiskBoot(Path("/base.qcow2"), Path("/base.qcow2"), kept=False))
    assert "if=none,id=vda,format=qcow2,file=/base.qcow2,snapshot=on" in told


def test_what_plain_qemu_cannot_be_given_is_not_left_out_without_a_word() -> None:
    domain = ElementTree.fromstring(xml(record()))  # noqa: S314
    ElementTree.SubElement(domain.find("devices"), "tpm")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="<tpm>"):
        qemu_args(ElementTree.tostring(domain, encoding="unicode"))


def test_the_qemu_of_the_domain_is_the_command() -> None:
    assert qemu_args(xml(record()))[0] == "qemu-system-x86_64"
    assert qemu_args(xml(record(spec=LabSpec("demo", qemu="/opt/q/qemu"))))[0] == "/opt/q/qemu"
