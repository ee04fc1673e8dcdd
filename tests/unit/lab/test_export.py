import dataclasses
import os
import shlex
import stat
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from specs import specs

from fame_lab.errors import FameError, SpecError
from fame_lab.guest.images import appliance, debian
from fame_lab.guest.images.appliance import Appliance
from fame_lab.guest.images.debian import DiskImage
from fame_lab.host.kvm_trials import Trial
from fame_lab.spec.lab_spec import LabSpec

TCG = LabSpec("demo", nodes=2, fam="64M", accel="tcg")
DEBIAN = DiskImage("debian", Path("/cache/disk.qcow2"), "0" * 64, "6.1", (), {}, "")
IMAGE = Appliance(Path("/cache/kernel"), Path("/cache/initrd"), "0" * 64, "6.1")


@pytest.fixture
def image(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image is built for what only names it."""
    monkeypatch.setattr(appliance, "ensure", lambda _tell=None: IMAGE)
    monkeypatch.setattr(Appliance, "least_memory", lambda _self, _vcpus: 0)
    monkeypatch.setattr(debian, "ensure", lambda _name, _tell=None: DEBIAN)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(specs(trace=False), st.sampled_from(["tcg", "kvm"]))
def test_each_spec_comes_back_from_each_of_its_domains(image: None, spec: LabSpec, accel: Any) -> None:
    spec = dataclasses.replace(spec, accel=accel)
    domains = spec.to_xml()
    assert ("network" in domains) == (spec.network == "libvirt")
    assert [LabSpec.from_xml(domains[node]) for node in spec.node_names] == [spec] * spec.nodes
    assert list(spec.to_qemu_args()) == list(spec.node_names)


def test_auto_comes_back_as_auto() -> None:
    spec = dataclasses.replace(TCG, accel="auto")
    assert LabSpec.from_xml(spec.to_xml()["node02"]) == spec


def test_a_domain_without_metadata_tells_what_it_can(image: None) -> None:
    spec = LabSpec("demo", nodes=3, fam="1G", vcpus=2, memory="256M", accel="kvm")
    xml = spec.to_xml()["node03"]
    begin, end = xml.index("<metadata>"), xml.index("</metadata>") + len("</metadata>")
    assert LabSpec.from_xml(xml[:begin] + xml[end:]) == LabSpec(
        "fame-demo-node03",
        nodes=1,
        fam="1G",
        vcpus=2,
        memory="256M",
        accel="kvm",
        fam_path=Path("/dev/shm/fame-demo.fam"),  # noqa: S108
    )


def test_each_node_has_a_port_of_its_own(image: None) -> None:
    arguments = TCG.to_qemu_args(ssh_port=3000)
    assert [any(f"127.0.0.1:{3000 + i}-:22" in word for word in arguments[f"node0{i + 1}"]) for i in (0, 1)]


@pytest.mark.parametrize("port", [0, -1, 65535, 70000])
def test_ports_that_are_none_are_refused(image: None, port: int) -> None:
    with pytest.raises(SpecError, match=f"ssh_port is {port}: give 1 to 65534"):
        TCG.to_xml(ssh_port=port)


def test_a_trace_is_refused_with_the_way_out() -> None:
    with pytest.raises(SpecError, match="trace=False"):
        dataclasses.replace(TCG, trace=True).to_xml()


def test_a_debian_that_is_printed_keeps_nothing_so_that_nodes_can_share_it(
    image: None,
) -> None:
    spec = dataclasses.replace(TCG, image="debian", memory="auto")
    for xml in spec.to_xml().values():
        disk = ElementTree.fromstring(xml).find("devices/disk")  # noqa: S314
        assert disk is not None
        assert disk.find("source[@file='/cache/disk.qcow2']") is not None
        assert disk.find("transient[@shareBacking='yes']") is not None
    assert all("snapshot=on" in " ".join(words) for words in spec.to_qemu_args().values())


def test_a_users_own_image_is_exported_to_a_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(b"\x7fELF")
    (tmp_path / "initrd").touch()
    with pytest.raises(SpecError, match="export to a folder"):
        dataclasses.replace(TCG, image=str(tmp_path)).to_xml()


def test_more_fam_than_the_accelerator_addresses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from fame_lab.host import accelerator as accel

    monkeypatch.setattr(appliance, "ensure", lambda _tell=None: IMAGE)
    monkeypatch.setattr(Appliance, "least_memory", lambda _self, _vcpus: 0)
    monkeypatch.setattr(accel, "_try_kvm", lambda *_, **_words: Trial(False, "none"))
    with pytest.raises(SpecError, match="512G"):
        LabSpec("demo", fam="1T").to_xml()


def test_no_lab_takes_an_exported_domain_for_its_own(image: None) -> None:
    from fame_lab.host.libvirt.metadata import NAMESPACE

    assert NAMESPACE not in TCG.to_xml()["node01"]


def test_what_is_printed_has_no_secret(image: None) -> None:
    assert "host_key" not in TCG.to_xml()["node01"]


def test_fam_is_where_the_user_wants_it(image: None) -> None:
    spec = dataclasses.replace(TCG, fam_path=Path("/srv/a 'b' <c>&"))
    assert any("mem-path=/srv/a 'b' <c>&," in word for word in spec.to_qemu_args()["node01"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TCG.export(tmp_path_factory.mktemp("export") / "a b's %d")


def test_secrets_are_for_their_owner_alone(folder: Path) -> None:
    for name in ("id_ed25519", "node01.host_key", "node02.host_key", "node01.authorized_keys"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_each_node_shows_a_key_of_its_own(folder: Path) -> None:
    assert (folder / "node01.host_key").read_bytes() != (folder / "node02.host_key").read_bytes()
    known = [line.split() for line in (folder / "known_hosts").read_text().splitlines()]
    assert [line[0] for line in known] == ["node01", "node02"]
    assert known[0][2] != known[1][2]


def test_a_folder_has_the_spec(folder: Path) -> None:
    assert LabSpec.from_toml((folder / "lab.toml").read_text()) == TCG
    assert tomllib.loads((folder / "lab.toml").read_text())["fam"] == "64M"


def test_scripts_name_nothing_by_the_folders_path(folder: Path) -> None:
    assert str(folder) not in (folder / "node01.sh").read_text()
    assert os.access(folder / "node01.sh", os.X_OK)


def test_a_folder_needs_nothing_of_the_cache(folder: Path) -> None:
    from fame_lab.core.cache import cache_directory

    for path in (*folder.glob("*.xml"), *folder.glob("*.sh")):
        assert str(cache_directory()) not in path.read_text()
    assert {"kernel", "initrd"} <= {path.name for path in folder.iterdir()}


def test_its_readme_says_how_to_begin_and_how_to_end(folder: Path) -> None:
    readme = (folder / "README").read_text()
    for command in ("virsh define $node.xml", "./all.sh", "ssh -F ssh_config node01", "virsh undefine"):
        assert command in readme
    assert "rm /dev/shm/fame-demo.fam" in readme


def test_a_directory_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(SpecError, match="is there"):
        TCG.export(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["a,b", 'a"b', "a\nb", "missing/x"])
def test_a_directory_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FameError, match=r"directory|cannot make"):
        TCG.export(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="trace"):
        dataclasses.replace(TCG, trace=True).export(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_command_line_survives_the_shell(folder: Path) -> None:
    command = (folder / "node01.sh").read_text().splitlines()[-1]
    words = shlex.split(command.removeprefix("exec ").removesuffix(' "$@"'))
    assert words[words.index("-append") + 1].startswith("console=ttyS0 ")
