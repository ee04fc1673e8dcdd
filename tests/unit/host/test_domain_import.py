import contextlib
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.errors import SpecError
from fame_lab.host.libvirt.domain_import import MAX_TEXT, spec_of
from fame_lab.spec.lab_spec import LabSpec

BACKEND = "memory-backend-file,mem-path=/home/rocky/FAME/FAM,size=32G,id=FAM,share=on"
DEVICE = "ivshmem-plain,memdev=FAM"


def domain(
    *,
    kind: str = "kvm",
    name: str = "node02",
    memory: str = "<memory unit='KiB'>1048576</memory>",
    vcpu: str = "<vcpu placement='static'>2</vcpu>",
    arguments: tuple[str, ...] = ("-object", BACKEND, "-device", DEVICE),
    more: str = "",
) -> str:
    """A domain as FAME's set-up script made them."""
    words = "".join(f"<qemu:arg value={quoteattr(argument)}/>" for argument in arguments)
    return (
        f"<domain type='{kind}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
        f"<name>{name}</name>{memory}{vcpu}<os><type arch='x86_64'>hvm</type></os>{more}"
        f"<qemu:commandline>{words}</qemu:commandline></domain>"
    )


def refusal(text: str) -> str:
    with pytest.raises(SpecError) as refused:
        spec_of(text)
    return str(refused.value)


def test_reads_a_domain_with_the_stanza_of_the_background_text() -> None:
    assert spec_of(domain()) == LabSpec(
        "node02", nodes=1, fam="32G", memory="1G", vcpus=2, accel="kvm", fam_path=Path("/home/rocky/FAME/FAM")
    )


@pytest.mark.parametrize(
    ("emulator", "expected"),
    [
        ("/usr/bin/qemu-system-x86_64", "auto"),
        ("/usr/libexec/qemu-kvm", "auto"),
        (" /usr/bin/kvm ", "auto"),
        ("/opt/qemu-10.0.2/bin/qemu-system-x86_64", "/opt/qemu-10.0.2/bin/qemu-system-x86_64"),
    ],
)
def test_a_qemu_that_is_not_where_hosts_have_theirs_is_kept(emulator: str, expected: str) -> None:
    devices = f"<devices><emulator>{emulator}</emulator></devices>"
    assert spec_of(domain(more=devices)).qemu == expected


def test_a_qemu_without_a_path_is_refused() -> None:
    assert "qemu is 'qemu'" in refusal(domain(more="<devices><emulator>qemu</emulator></devices>"))


def test_an_emulated_domain_is_tcg() -> None:
    assert spec_of(domain(kind="qemu")).accel == "tcg"


@pytest.mark.parametrize(
    ("memory", "size"),
    [
        ("<memory>131072</memory>", 128 << 20),
        ("<memory unit='MiB'>128</memory>", 128 << 20),
        ("<memory unit='b'> 134217728 </memory>", 128 << 20),
        ("<memory unit='G'>2</memory>", 2 << 30),
        ("<memory unit='KB'>1048576</memory>", 1000 << 20),
    ],
)
def test_memory_is_read_in_libvirts_units(memory: str, size: int) -> None:
    assert spec_of(domain(memory=memory)).memory_size == size


def test_cpus_that_may_be_added_are_not_counted() -> None:
    assert spec_of(domain(vcpu="<vcpu current='1'>2</vcpu>")).vcpus == 1
    assert spec_of(domain(vcpu="")).vcpus == 1


def test_a_name_that_no_lab_can_have_is_made_one() -> None:
    assert spec_of(domain(name="rocky's node.02!")).name == "rocky-s-node-02"
    assert "name" in refusal(domain(name="é"))


@pytest.mark.parametrize(
    "arguments",
    [
        (
            *("-device", '{"driver":"ivshmem-plain","id":"shmem0","memdev":"fam"}', "-object"),
            '{"qom-type":"memory-backend-file","id":"fam","mem-path":"/x","size":33554432,"share":true}',
        ),
        (
            "-object",
            "memory-backend-file,size=32M,share,mem-path=/x,id=fam",
            "-device",
            "ivshmem-plain,memdev=fam",
        ),
        (
            *("--object", "memory-backend-file,id=fam,share=yes,mem-path=/x,size=0x2000000"),
            *("--device", "driver=ivshmem-plain,memdev=fam,master=on,bus=pcie.0,addr=0x9"),
        ),
        (
            *("-object", "qom-type=memory-backend-file,id=fam,share=on,mem-path=/x,size=0.03125G"),
            *("-object", "memory-backend-ram,id=other,size=1G", "-device", "virtio-rng-pci"),
            *("-device", "{'driver': 'ivshmem-plain', 'memdev': 'fam'}"),
        ),
    ],
)
def test_a_stanza_is_read_as_qemu_reads_it(arguments: tuple[str, ...]) -> None:
    spec = spec_of(domain(arguments=arguments))
    assert (spec.fam_size, spec.fam_path) == (32 << 20, Path("/x"))


SHMEM = "<devices><shmem name='looking-glass'><model type='ivshmem-plain'/></shmem></devices>"


@pytest.mark.parametrize(
    ("arguments", "more", "named"),
    [
        (
            ("-device", "ivshmem-doorbell,chardev=c,vectors=2"),
            "",
            "ivshmem-doorbell, whose memory and interrupts",
        ),
        (("-device", "ivshmem,size=32,shm=x"), "", "ivshmem, and no ivshmem-plain"),
        ((), SHMEM, "<shmem name='looking-glass'>, libvirt's own"),
        (("-object", BACKEND, "-device", DEVICE), SHMEM, "2 devices of shared memory (ivshmem-plain, <shmem"),
        (
            ("-object", BACKEND.replace("-file", "-memfd"), "-device", DEVICE),
            "",
            "a 'memory-backend-memfd', memory w",
        ),
        (("-object", BACKEND.replace("-file", "-ram"), "-device", DEVICE), "", "memory of that QEMU alone"),
        (("-object", BACKEND.replace("=on", "=maybe"), "-device", DEVICE), "", "share is 'maybe'"),
        (("-object", BACKEND + ",readonly=on", "-device", DEVICE), "", "readonly"),
        (("-object", BACKEND + ",offset=4K", "-device", DEVICE), "", "offset '4K'"),
        (("-object", "{", "-device", DEVICE), "", "as JSON"),
        (("-object", BACKEND, "-device", "ivshmem-plain"), "", "memdev is None"),
    ],
)
def test_what_can_be_no_fam_is_named_as_what_it_is(arguments: tuple[str, ...], more: str, named: str) -> None:
    message = refusal(domain(arguments=arguments, more=more))
    assert named in message
    assert len(message) < 600


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "no ivshmem-plain device"),
        (("-object", BACKEND), "no ivshmem-plain device"),
        (("-device", DEVICE), "no -object of the domain has that id"),
        (("-object", BACKEND.replace("FAM,share", "OTHER,share"), "-device", DEVICE), "memdev is 'FAM'"),
        (("-object", BACKEND, "-device", DEVICE, "-device", DEVICE), "2 devices of shared memory"),
        (("-object", BACKEND.replace(",share=on", ""), "-device", DEVICE), "share=on"),
        (("-object", BACKEND.replace("=on", "=off"), "-device", DEVICE), "share=on"),
        (("-object", BACKEND.replace("32G", "33G"), "-device", DEVICE), "power of two"),
        (("-object", BACKEND.replace("32G", "32X"), "-device", DEVICE), "32X"),
        (("-object", BACKEND.replace(",size=32G", ""), "-device", DEVICE), "size"),
        (("-object", BACKEND.replace("FAM,size", "a,,b,size"), "-device", DEVICE), "a,b"),
        (("-object", BACKEND.replace("mem-path", "path"), "-device", DEVICE), "fam_path"),
        (("-object", BACKEND.replace("-file", "-ram"), "-device", DEVICE), "memory-backend-ram"),
    ],
)
def test_a_stanza_that_shares_nothing_is_refused(arguments: tuple[str, ...], named: str) -> None:
    assert named in refusal(domain(arguments=arguments))


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "xen"},
        {"memory": ""},
        {"memory": "<memory>many</memory>"},
        {"memory": "<memory unit='parsec'>1</memory>"},
        {"memory": "<memory>" + "9" * 5000 + "</memory>"},
        {"memory": "<memory>1</memory>"},
        {"memory": "<memory unit='GB'>2</memory>"},
        {"vcpu": "<vcpu>0</vcpu>"},
        {"vcpu": "<vcpu>-1</vcpu>"},
        {"vcpu": "<vcpu current='x'>2</vcpu>"},
        {"vcpu": "<vcpu>" + "9" * 5000 + "</vcpu>"},
        {"name": ""},
    ],
)
def test_what_no_lab_can_be_like_is_refused(changed: dict[str, str]) -> None:
    refusal(domain(**changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "node02",
        "<network/>",
        "<domain",
        "<domain/>",
        "<domain type='kvm'>\0</domain>",
        "<?xml version='1.0' encoding='utf-7'?><domain/>",
        "\ud800",
        "<domain>" * 100_000,
        "<domain>" * 50_000 + "</domain>" * 50_000,
    ],
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    refusal(text)


@pytest.mark.parametrize("value", [None, 3, b"<domain/>", Path("/etc/passwd"), ["<domain/>"]])
def test_what_is_no_text_is_refused(value: object) -> None:
    assert "str" in refusal(value)  # type: ignore[arg-type]


def test_an_endless_text_is_not_read() -> None:
    assert str(MAX_TEXT) in refusal(domain(more="<!--" + "x" * MAX_TEXT + "-->"))


def test_entities_are_not_expanded() -> None:
    laughs = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))
    bomb = f"<!DOCTYPE domain [<!ENTITY l0 'ha'>{laughs}]>" + domain(name="&l9;")
    assert "document type" in refusal(bomb)


def test_no_file_is_read_for_an_entity() -> None:
    external = "<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/hostname'>]>" + domain(name="&x;")
    assert "document type" in refusal(external)
    assert "document type" in refusal("<!DOCTYPE domain SYSTEM 'http://127.0.0.1:9/x.dtd'>" + domain())


NOTED = (
    "<metadata><fame:spec xmlns:fame='urn:fame_lab:spec:1' fam='/home/rocky/FAME/FAM' accelerator='kvm'>"
    "{}</fame:spec></metadata>"
)


def test_metadata_tell_what_a_domain_cannot() -> None:
    spec = LabSpec("demo", nodes=4, fam="32G", layout="interleaved", memory="1G", vcpus=2)
    assert spec_of(domain(more=NOTED.format(spec.to_json()))) == spec


def test_what_was_changed_in_the_domain_since_counts() -> None:
    spec = LabSpec("demo", nodes=4, fam="32G")
    text = domain(more=NOTED.format(spec.to_json())).replace(
        "/home/rocky/FAME/FAM,size=32G", "/srv/fam,size=16M"
    )
    assert spec_of(text.replace("'kvm' xmlns:q", "'qemu' xmlns:q")) == LabSpec(
        "demo", nodes=4, fam="16M", fam_path=Path("/srv/fam"), memory="1G", vcpus=2, accel="tcg"
    )


@pytest.mark.parametrize(
    "noted", ["", "{", "[]", "3", '{"name": "demo", "colour": "red"}', "[" * 100_000, '{"name": 1e999}']
)
def test_metadata_that_this_version_did_not_write_are_refused(noted: str) -> None:
    assert "metadata" in refusal(domain(more=NOTED.format(noted)))


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    refusal(text)


ODD = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20)


@given(st.lists(st.sampled_from(["-object", "-device", "--object", BACKEND, DEVICE]) | ODD))
def test_any_arguments_are_read_or_refused(arguments: list[str]) -> None:
    with contextlib.suppress(SpecError):
        spec_of(domain(arguments=tuple(arguments)))


@given(ODD, ODD, ODD)
def test_any_values_are_read_or_refused(name: str, unit: str, vcpu: str) -> None:
    memory = f"<memory unit={quoteattr(unit)}>131072</memory>"
    with contextlib.suppress(SpecError):
        spec_of(domain(name=escape(name), memory=memory, vcpu=f"<vcpu>{escape(vcpu)}</vcpu>"))
