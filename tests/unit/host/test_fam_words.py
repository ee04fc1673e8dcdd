import errno
import os
from pathlib import Path

import pytest

from fame_lab.errors import HostError
from fame_lab.host.fam import Fam
from fame_lab.host.fam_words import FamWords

MIB = 1 << 20


@pytest.fixture
def fam(tmp_path: Path) -> Fam:
    return Fam.create(tmp_path / "fam", MIB)


def test_a_word_is_stored_little_endian_and_loaded(fam: Fam) -> None:
    words = FamWords(fam)
    words.store(64, 0x0102030405060708)
    assert fam.read(64, 8) == bytes([8, 7, 6, 5, 4, 3, 2, 1])
    assert words.load(64) == 0x0102030405060708
    words.close()


def test_a_file_that_is_truncated_is_an_error_and_stays_so(fam: Fam) -> None:
    words = FamWords(fam)
    os.truncate(fam.path, 4096)
    for _ in range(2):
        with pytest.raises(HostError, match="truncated"):
            words.load(8192)
        with pytest.raises(HostError, match="truncated"):
            words.store(8192, 1)
    assert fam.path.stat().st_size == 4096
    words.close()


def test_a_file_system_that_takes_no_write_is_written_through_a_mapping(
    fam: Fam, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_hugetlbfs(*_: object) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "pwrite", as_hugetlbfs)
    words = FamWords(fam)
    words.store(0, 7)
    words.store(8, 8)
    assert [words.load(0), words.load(8)] == [7, 8]
    words.close()
