from pathlib import Path
from xml.etree import ElementTree

from node_records import BOOT, CONSOLE, OWN, record

from fame_lab.guest.images.base import Boot, DiskBoot
from fame_lab.host.libvirt.domain_xml import QEMU_NAMESPACE, domain_name, domain_xml
from fame_lab.host.libvirt.metadata import NodeRecord
from fame_lab.host.libvirt.nic import Nic
from fame_lab.host.libvirt.template_args import TemplateFiles
from fame_lab.host.qemu_user import QemuUser
from fame_lab.spec.lab_spec import LabSpec


def parsed(
    node: NodeRecord,
    user: QemuUser | None = None,
    models: frozenset[str] = frozenset(),
    boot: Boot = BOOT,
    **more: object,
) -> ElementTree.Element:
    xml = domain_xml(node, boot, console=CONSOLE, personal=OWN, user=user, models=set(models), **more)  # type: ignore[arg-type]
    return ElementTree.fromstring(xml)  # noqa: S314


def arguments(domain: ElementTree.Element) -> list[str]:
    return [argument.attrib["value"] for argument in domain.iter(f"{{{QEMU_NAMESPACE}}}arg")]


def test_has_the_stanza_of_the_background_text_at_slot_9() -> None:
    words = arguments(parsed(record()))
    assert f"memory-backend-file,mem-path=/dev/shm/fam,size={1 << 30},id=FAM,share=on" in words
    assert "ivshmem-plain,memdev=FAM,bus=pcie.0,addr=0x9" in words


def test_forwards_ssh_on_loopback_alone_and_keeps_the_guest_off_the_host() -> None:
    (network,) = [word for word in arguments(parsed(record())) if word.startswith("user,")]
    assert "hostfwd=tcp:127.0.0.1:0-:22" in network
    assert "restrict=on" in network


def test_one_cpu_has_room_for_a_second_so_that_atomics_hold_under_tcg() -> None:
    vcpu = parsed(record()).find("vcpu")
    assert vcpu is not None
    assert (vcpu.get("current"), vcpu.text) == ("1", "2")


def test_one_cpu_is_one_under_kvm_whose_atomics_are_the_processors() -> None:
    vcpu = parsed(record(accelerator="kvm")).find("vcpu")
    assert vcpu is not None
    assert (vcpu.get("current"), vcpu.text) == ("1", "1")


def test_an_emulated_cpu_is_not_compared_property_by_property() -> None:
    deleted = [element.get("capability") for element in parsed(record()).iter(f"{{{QEMU_NAMESPACE}}}del")]
    assert deleted == ["cpu-unavailable-features"]
    assert not list(parsed(record(accelerator="kvm")).iter(f"{{{QEMU_NAMESPACE}}}del"))


def test_four_cpus_are_four() -> None:
    vcpu = parsed(record(spec=LabSpec("demo", vcpus=4))).find("vcpu")
    assert vcpu is not None
    assert (vcpu.get("current"), vcpu.text) == ("4", "4")


def test_a_qemu_is_named_where_the_spec_names_one() -> None:
    assert parsed(record()).find("devices/emulator") is None
    named = parsed(record(spec=LabSpec("demo", qemu="/opt/q/qemu")))
    assert next(iter(named.findall("devices/*"))).tag == "emulator"
    assert named.findtext("devices/emulator") == "/opt/q/qemu"


def test_kvm_is_asked_for_only_where_it_was_chosen() -> None:
    assert parsed(record()).get("type") == "qemu"
    assert parsed(record(accelerator="kvm")).get("type") == "kvm"


def test_libvirt_changes_no_owner_and_runs_qemu_as_its_own_user() -> None:
    domain = parsed(record(), QemuUser(64055, 107), frozenset({"dac"}))
    (label,) = domain.findall("seclabel")
    assert label.get("relabel") == "no"
    assert label.findtext("label") == "+64055:+107"


def test_a_session_says_nothing_of_owners() -> None:
    assert parsed(record()).findall("seclabel") == []


def test_carries_its_lab_in_metadata() -> None:
    metadata = parsed(record()).find("metadata")
    assert metadata is not None
    assert NodeRecord.from_xml(ElementTree.tostring(metadata[0], encoding="unicode")) == record()


def test_odd_characters_are_escaped() -> None:
    domain = parsed(record(accelerator_reason="<&>\"'"))
    source = domain.find("devices/serial/source")
    assert source is not None
    assert source.get("path") == "/c & <d>"


def test_a_domain_name_tells_the_lab_and_the_node() -> None:
    assert domain_name("demo", "node07") == "fame-demo-node07"


def test_what_is_a_nodes_own_is_given_by_file_and_not_on_the_command_line() -> None:
    (entry,) = parsed(record()).findall("sysinfo[@type='fwcfg']/entry")
    assert entry.attrib == {"name": "opt/fame_lab/host_key", "file": "/lab/node01.own.host_key"}
    assert entry.text is None


def test_a_disk_is_booted_by_firmware_and_its_form_is_given() -> None:
    domain = parsed(
        record(), boot=DiskBoot(Path("/lab/node01.qcow2"), Path("/base.qcow2"), Path("/lab/node01.seed"))
    )
    assert domain.find("os/kernel") is None
    disks = domain.findall("devices/disk")
    assert [disk.find("driver").get("type") for disk in disks] == ["qcow2", "raw"]  # type: ignore[union-attr]
    assert [disk.find("readonly") is not None for disk in disks] == [False, True]
    # What lies beneath is told to the end, so that nothing is read from a file's header.
    assert disks[0].find("backingStore/source").attrib == {"file": "/base.qcow2"}  # type: ignore[union-attr]
    assert disks[0].find("backingStore/backingStore") is not None


def test_a_card_in_the_lab_s_network_has_a_place_of_its_own() -> None:
    domain = parsed(record(), card=Nic("48:50:42:01:01:01", network="fame-demo"))
    (interface,) = domain.findall("devices/interface")
    assert interface.find("source[@network='fame-demo']") is not None
    assert interface.find("mac[@address='48:50:42:01:01:01']") is not None
    assert interface.find("address[@slot='0xa']") is not None
    assert not [word for word in arguments(domain) if "48:50:42" in word]


def test_a_card_at_a_switch_is_qemu_s_own_matter() -> None:
    domain = parsed(record(), card=Nic("48:50:42:01:01:01", switch=Path("/lab/switch")))
    assert domain.findall("devices/interface") == []
    assert "vde,id=lab,sock=/lab/switch" in arguments(domain)
    assert "virtio-net-pci,netdev=lab,mac=48:50:42:01:01:01,bus=pcie.0,addr=0xa,romfile=" in arguments(domain)


def test_a_template_has_no_fam_and_writes_its_memory_through() -> None:
    files = TemplateFiles(Path("/lab/memory"), 128 << 20, Path("/lab/state"), 1 << 20)
    words = arguments(parsed(record(), arguments=files.made(), fam=False))
    assert not any("ivshmem" in argument or "id=FAM" in argument for argument in words)
    assert "memory-backend-file,id=fame.ram,mem-path=/lab/memory,size=134217728,share=on" in words
    assert "-incoming" not in words


def test_a_restored_node_maps_the_templates_memory_for_itself_before_fam() -> None:
    files = TemplateFiles(Path("/lab/memory"), 128 << 20, Path("/lab/state"), 32 << 30)
    words = arguments(parsed(record(), arguments=files.restored()))
    memory = "memory-backend-file,id=fame.ram,mem-path=/lab/memory,size=134217728,share=off"
    assert words.index(memory) < next(i for i, argument in enumerate(words) if "id=FAM" in argument)
    assert words[words.index("-incoming") + 1] == "defer"
    assert f"q35-pcihost.pci-hole64-size={64 << 30}" in words
