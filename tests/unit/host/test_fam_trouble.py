"""What is said of FAM's file to who waits for a node in vain."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fame_lab.host.fam import Fam
from fame_lab.host.fam_trouble import trouble

MIB = 1 << 20


@pytest.fixture
def fam(tmp_path: Path) -> Fam:
    return Fam.create(tmp_path / "fam", MIB)


def test_a_file_with_room_is_no_trouble(fam: Fam) -> None:
    assert trouble(fam) == ""


def test_a_file_that_was_truncated_is_told_with_both_sizes(fam: Fam) -> None:
    os.truncate(fam.path, 4096)
    assert "truncated" in trouble(fam)
    assert "4096 bytes instead of 1048576" in trouble(fam)


def test_a_file_that_was_deleted_or_replaced_stops_no_node_that_has_it(fam: Fam) -> None:
    fam.path.rename(fam.path.with_name("theirs"))
    assert trouble(fam) == ""
    fam.path.write_bytes(b"another")
    assert trouble(fam) == ""


@pytest.fixture
def small_file_system(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "none", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_full_file_system_is_told_until_there_is_room(small_file_system: Path) -> None:
    fam = Fam.create(small_file_system / "fam", 4 * MIB)
    filler = small_file_system / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(MIB))
    assert "no room is left for FAM" in trouble(fam)
    assert f"{small_file_system} is full" in trouble(fam)
    assert "4032 KiB of FAM were not stored to" in trouble(fam)
    assert "`fame-lab restart`" in trouble(fam)
    filler.unlink()
    assert trouble(fam) == ""


def test_a_fam_whose_room_was_reserved_is_no_trouble_on_a_full_file_system(small_file_system: Path) -> None:
    path = small_file_system / "fam"
    subprocess.run(["fallocate", "-l", str(MIB // 2), path], check=True)  # as docs/failures.md has it
    fam = Fam.existing(path, MIB // 2)
    with pytest.raises(OSError, match="No space left"):
        (small_file_system / "filler").write_bytes(bytes(MIB))
    assert trouble(fam) == ""
