import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.errors import HostError
from fame_lab.guest.images import overlay


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "64M"], check=True)
    return path


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabDirectory:
    monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path / "cache"))
    lab_directory = LabDirectory(tmp_path / "fame_lab-0-lab")
    lab_directory.make(None)
    return lab_directory


def test_a_layer_takes_its_content_from_what_lies_beneath(directory: LabDirectory, base: Path) -> None:
    path = overlay.overlay(directory, "node01", base)
    info = subprocess.run(["qemu-img", "info", "--output=json", path], capture_output=True, check=True)
    fields = json.loads(info.stdout)
    assert (fields["backing-filename"], fields["backing-filename-format"]) == (str(base), "qcow2")
    assert fields["virtual-size"] == 64 << 20
    assert fields["actual-size"] < 1 << 20


def test_a_node_that_boots_again_has_its_disk_as_it_was(directory: LabDirectory, base: Path) -> None:
    path = overlay.overlay(directory, "node01", base)
    before = path.stat().st_ino
    assert overlay.overlay(directory, "node01", base).stat().st_ino == before


def test_nobody_else_may_read_a_nodes_disk(directory: LabDirectory, base: Path) -> None:
    path = overlay.overlay(directory, "node01", base)
    assert path.stat().st_mode & 0o007 == 0
    assert path.parent.stat().st_mode & 0o077 == 0  # this lab's QEMU runs as ourselves


def test_disks_are_not_where_fam_is_and_go_with_the_lab(
    directory: LabDirectory, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = overlay.overlay(directory, "node01", base)
    assert not path.is_relative_to(directory.path)
    monkeypatch.setenv("FAME_LAB_CACHE", "/nonexistent")  # whoever ends it may have another cache
    directory.remove()
    assert not path.parent.exists()
    assert base.exists()


def test_nodes_that_start_together_share_one_directory(directory: LabDirectory, base: Path) -> None:
    nodes = [f"node{number:02d}" for number in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda node: overlay.overlay(directory, node, base), nodes))
    assert all(path.exists() for path in paths)


def test_what_an_older_lab_of_that_name_left_is_not_taken_up(directory: LabDirectory, base: Path) -> None:
    disk = overlay.overlay(directory, "node01", base)
    directory.disks.unlink()  # as when the host went down: /dev/shm is empty then, the cache is not
    disk.write_bytes(b"old")
    assert overlay.overlay(directory, "node01", base).read_bytes() != b"old"


def test_what_lies_beneath_and_is_gone_is_told(directory: LabDirectory, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="node01"):
        overlay.overlay(directory, "node01", tmp_path / "gone.qcow2")
    assert not (directory.disks.readlink() / "node01.qcow2").exists()
