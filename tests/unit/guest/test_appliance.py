import os
import threading
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fame_lab.core import native
from fame_lab.core.jobs.progress import listen
from fame_lab.errors import ImageError, SpecError
from fame_lab.guest.images import appliance, apt_packages, cpio, rootfs
from fame_lab.guest.images.appliance import Appliance
from fame_lab.guest.images.base import Identity, NodeNetwork

RELEASE = "6.1.0-1-test"


class Ingredients:
    """Packages and files that stand in for those of the distribution."""

    def __init__(self, directory: Path) -> None:
        self.fetched = 0
        self.fail_at: str | None = None
        self.probe = directory / "fame-probe"
        self.probe.write_bytes(b"\x7fELF probe")
        self.init = directory / "init"
        self.init.write_text("#!/bin/sh\n")

    def fetch(self, into: Path, _state: Path, _progress: Callable[[str], None]) -> list[apt_packages.Package]:
        self.fetched += 1
        into.mkdir(exist_ok=True)
        (into / "linux.deb").write_bytes(b"deb")
        return [apt_packages.Package("linux", "1", apt_packages.sha256(into / "linux.deb"), "linux.deb")]

    def unpack(self, _deb: Path, into: Path) -> None:
        if self.fail_at == "unpack":
            raise KeyboardInterrupt
        (into / "boot").mkdir()
        (into / f"boot/vmlinuz-{RELEASE}").write_bytes(b"kernel")

    def entries(self, _tree: Path, _release: str, probe: Path) -> dict[str, cpio.Entry]:
        if self.fail_at == "write":
            raise OSError(28, "No space left on device", "initrd")
        return {"init": cpio.file(self.init.read_bytes()), "probe": cpio.file(probe.read_bytes())}


@pytest.fixture
def ingredients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ingredients:
    stand_ins = Ingredients(tmp_path)
    monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(apt_packages, "distribution", lambda: "debian")
    monkeypatch.setattr(apt_packages, "fetch", stand_ins.fetch)
    monkeypatch.setattr(apt_packages, "unpack", stand_ins.unpack)
    monkeypatch.setattr(rootfs, "entries", stand_ins.entries)
    monkeypatch.setattr(rootfs, "own_files", lambda: {"init": stand_ins.init})
    monkeypatch.setattr(native, "PROBE", SimpleNamespace(binary=lambda: stand_ins.probe))
    return stand_ins


def files(tmp_path: Path) -> set[str]:
    root = tmp_path / "cache/appliance"
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_what_is_built_is_found_again_without_asking_apt(ingredients: Ingredients) -> None:
    assert appliance.cached() is None
    first = appliance.ensure()
    assert appliance.ensure() == first == appliance.cached()
    assert ingredients.fetched == 1
    assert first.kernel_release == RELEASE
    assert first.kernel.read_bytes() == b"kernel"


def test_a_build_is_a_job_whose_steps_are_known_once_the_packages_are(ingredients: Ingredients) -> None:
    steps: list[tuple[int, int | None, str]] = []
    with listen(lambda *step: steps.append(step)):
        appliance.ensure()
        # What is there is no job.
        appliance.ensure()
    assert steps[0] == (0, None, "guest image")
    assert (1, 4, "unpacking linux") in steps
    assert steps[-1] == (4, 4, "writing the initramfs")


def test_whoever_asks_for_words_gets_few(ingredients: Ingredients) -> None:
    stages: list[str] = []
    appliance.ensure(stages.append)
    assert stages == ["unpacking packages", "writing the initramfs"]


@pytest.mark.parametrize("changed", ["init", "probe"])
def test_it_is_built_again_when_what_goes_in_changes(ingredients: Ingredients, changed: str) -> None:
    first = appliance.ensure()
    getattr(ingredients, changed).write_text("another")
    assert appliance.cached() is None
    second = appliance.ensure()
    assert second.digest != first.digest
    assert b"another" in second.initrd.read_bytes()
    assert ingredients.fetched == 1


def test_the_same_inputs_give_the_same_bytes(ingredients: Ingredients, tmp_path: Path) -> None:
    first = appliance.ensure()
    before = first.initrd.read_bytes()
    first.initrd.with_name("appliance.json").unlink()
    first.initrd.unlink()
    first.kernel.unlink()
    first.initrd.parent.rmdir()
    assert appliance.ensure() == first
    assert first.initrd.read_bytes() == before


def test_a_changed_table_of_packages_fetches_anew(
    ingredients: Ingredients, monkeypatch: pytest.MonkeyPatch
) -> None:
    appliance.ensure()
    monkeypatch.setattr(apt_packages, "USERLAND", (*apt_packages.USERLAND, "strace"))
    appliance.ensure()
    assert ingredients.fetched == 2


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"table": 1, "packages": [{}]}'])
def test_a_spoilt_record_is_made_anew(ingredients: Ingredients, tmp_path: Path, record: str) -> None:
    first = appliance.ensure()
    (tmp_path / "cache/appliance/packages/packages.json").write_text(record)
    assert appliance.ensure() == first
    assert ingredients.fetched == 2


def test_a_spoilt_package_is_fetched_anew(ingredients: Ingredients, tmp_path: Path) -> None:
    appliance.ensure()
    (tmp_path / "cache/appliance/packages/linux.deb").write_bytes(b"half")
    ingredients.init.write_text("another")
    appliance.ensure()
    assert ingredients.fetched == 2


def test_an_interrupted_build_leaves_no_rubbish(ingredients: Ingredients, tmp_path: Path) -> None:
    ingredients.fail_at = "unpack"
    with pytest.raises(KeyboardInterrupt):
        appliance.ensure()
    assert files(tmp_path) == {"lock", "packages/linux.deb", "packages/packages.json"}


def test_what_a_killed_build_left_goes_with_the_next(ingredients: Ingredients, tmp_path: Path) -> None:
    remains = tmp_path / "cache/appliance/building-dead"
    remains.mkdir(parents=True)
    (remains / "half").touch()
    appliance.ensure()
    assert not remains.exists()


def test_a_full_disk_is_told_with_what_to_do(ingredients: Ingredients, tmp_path: Path) -> None:
    ingredients.fail_at = "write"
    with pytest.raises(ImageError, match=r"No space left on device.*FAME_LAB_CACHE"):
        appliance.ensure()
    assert not [name for name in files(tmp_path) if name.startswith("building")]


def test_two_at_once_build_it_once(ingredients: Ingredients) -> None:
    built: list[Appliance] = []
    threads = [threading.Thread(target=lambda: built.append(appliance.ensure())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 4
    assert len({each.digest for each in built}) == 1
    assert ingredients.fetched == 1


def test_others_may_read_it_whatever_the_umask(ingredients: Ingredients, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        image = appliance.ensure()
    finally:
        os.umask(before)
    assert image.kernel.stat().st_mode & 0o777 == image.initrd.stat().st_mode & 0o777 == 0o644
    for directory in (image.kernel.parent, tmp_path / "cache/appliance", tmp_path / "cache"):
        assert directory.stat().st_mode & 0o055 == 0o055


def test_the_command_line_tells_the_clock(ingredients: Ingredients) -> None:
    image = appliance.ensure()
    words = image.cmdline(tsc_khz=2_600_000).split()
    assert {"tsc_early_khz=2600000", "tsc=reliable", "console=ttyS0"} <= set(words)
    assert "tsc_early_khz" not in image.cmdline(tsc_khz=None)


@pytest.mark.parametrize("name", ["", "Node", "a b", "a\nb", "-a", "x" * 64, "a=b"])
def test_a_name_that_is_none_for_a_host_is_refused(ingredients: Ingredients, name: str) -> None:
    with pytest.raises(SpecError, match="host name"):
        appliance.ensure().personal(Identity(name, "ssh-ed25519 AAAA", Ed25519PrivateKey.generate()))


def test_what_is_a_nodes_own_is_its_name_and_its_keys(ingredients: Ingredients) -> None:
    key = Ed25519PrivateKey.generate()
    own = appliance.ensure().personal(Identity("node07", "ssh-ed25519 AAAA\n", key))
    assert own["node"] == b"node07\n"
    assert own["authorized_keys"] == b"ssh-ed25519 AAAA\n"
    assert key.private_bytes_raw() in own["host_key"]


@pytest.mark.parametrize(
    ("leased", "line"),
    [(True, b"48:50:42:07:07:07 dhcp\n"), (False, b"48:50:42:07:07:07 192.168.42.7 255.255.255.0\n")],
)
def test_a_node_in_a_network_is_told_its_card_and_all_names(
    ingredients: Ingredients, leased: bool, line: bytes
) -> None:
    address, netmask = IPv4Address("192.168.42.7"), IPv4Address("255.255.255.0")
    attachment = NodeNetwork("48:50:42:07:07:07", address, netmask, leased, "192.168.42.7 node07\n")
    identity = Identity("node07", "ssh-ed25519 AAAA\n", Ed25519PrivateKey.generate(), attachment)
    own = appliance.ensure().personal(identity)
    assert own["network"] == line
    assert own["hosts"] == b"127.0.0.1 localhost\n192.168.42.7 node07\n"


@pytest.fixture(scope="module")
def image() -> Appliance:
    return appliance.ensure()
