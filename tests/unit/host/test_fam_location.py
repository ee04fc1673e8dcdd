"""Where FAM lies if nobody says."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from fame_lab import LabSpec
from fame_lab.core.lab_directory import LAB_BYTES, SHM, LabDirectory
from fame_lab.host import fam_location
from fame_lab.host.fam import Fam

MIB = 1 << 20


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabDirectory:
    monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path / "cache"))
    lab_directory = LabDirectory(tmp_path / "shm" / "fame_lab-0-place")
    lab_directory.path.parent.mkdir()
    lab_directory.make(None)
    return lab_directory


@pytest.fixture
def rooms(directory: LabDirectory, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Set how many bytes are free in /dev/shm and on disk."""

    def have(in_shm: int, on_disk: int) -> None:
        monkeypatch.setattr(
            fam_location, "free_bytes", lambda at: in_shm if at == directory.path else on_disk
        )

    return have


SPEC = LabSpec("place", fam="64M")


def test_fam_lies_with_its_lab_where_there_is_room(
    directory: LabDirectory, rooms: Callable[[int, int], None]
) -> None:
    rooms(64 * MIB + LAB_BYTES, 1 << 40)
    assert fam_location.choose(SPEC, directory) == directory.fam
    assert not directory.disks.is_symlink()


def test_fam_lies_on_disk_where_there_is_none_and_a_warning_says_so(
    directory: LabDirectory, rooms: Callable[[int, int], None], caplog: pytest.LogCaptureFixture
) -> None:
    rooms(64 * MIB + LAB_BYTES - 1, 1 << 40)
    with caplog.at_level(logging.WARNING):
        path = fam_location.choose(SPEC, directory)
    assert path == directory.disks.readlink() / "fam"
    assert path.parent.stat().st_mode & 0o077 == 0
    assert "95 MiB free, too little for FAM of 64M" in caplog.text and str(path) in caplog.text


def test_a_disk_with_less_room_is_no_better(
    directory: LabDirectory, rooms: Callable[[int, int], None]
) -> None:
    rooms(MIB, MIB)
    assert fam_location.choose(SPEC, directory) == directory.fam


def test_fam_on_disk_goes_with_its_lab(directory: LabDirectory, rooms: Callable[[int, int], None]) -> None:
    rooms(0, 1 << 40)
    path = fam_location.choose(SPEC, directory)
    Fam.create(path, SPEC.fam_size)
    directory.remove()
    assert not path.parent.exists()


def test_the_manifest_says_where_and_why(directory: LabDirectory) -> None:
    def manifest(path: Path, spec: LabSpec = SPEC) -> dict[str, str]:
        return fam_location.describe(spec, Fam(path, spec.fam_size, True, (0, 0)), directory)

    assert manifest(directory.fam) == {"place": str(SHM), "reason": "by default"}
    on_disk = manifest(directory.path / "elsewhere")
    assert on_disk == {"place": "disk", "reason": f"{SHM} had no room for 64M"}
    mine = LabSpec("place", fam="64M", fam_path=directory.path / "mine")
    assert manifest(directory.path / "mine", mine)["place"] == "fam_path"


def test_room_is_told_of_a_directory_that_is_yet_to_be_made(tmp_path: Path) -> None:
    assert fam_location.free_bytes(tmp_path / "not" / "yet") > 0
