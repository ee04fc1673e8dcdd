import errno
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jupyter_client.manager import KernelManager

from fame_lab.errors import HostError, SpecError
from fame_lab.host.fam import Fam
from fame_lab.spec.fam_layout import CONTROL_SIZE

MIB = 1 << 20


@pytest.fixture
def fam(tmp_path: Path) -> Fam:
    return Fam.create(tmp_path / "fam", MIB)


def test_a_new_file_is_sparse_private_and_of_its_size(fam: Fam) -> None:
    status = fam.path.stat()
    assert status.st_size == MIB
    assert status.st_mode & 0o777 == 0o600
    assert fam.allocated() <= CONTROL_SIZE + 4096


def test_an_existing_path_is_never_made_anew(fam: Fam) -> None:
    fam.write(0, b"kept")
    with pytest.raises(HostError, match="File exists"):
        Fam.create(fam.path, MIB)
    assert fam.read(0, 4) == b"kept"


def test_a_link_is_not_followed_when_a_file_is_made(tmp_path: Path) -> None:
    (tmp_path / "fam").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostError):
        Fam.create(tmp_path / "fam", MIB)
    assert not (tmp_path / "elsewhere").exists()


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="missing/fam"):
        Fam.create(tmp_path / "missing" / "fam", MIB)


@pytest.fixture
def tiny_file_system(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    place = tmp_path / "tiny"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_file_system_leaves_no_file(tiny_file_system: Path) -> None:
    (tiny_file_system / "filler").write_bytes(bytes(96 << 10))
    with pytest.raises(HostError, match="no room"):
        Fam.create(tiny_file_system / "fam", MIB)
    assert [path.name for path in tiny_file_system.iterdir()] == ["filler"]


def test_writing_into_a_full_file_system_is_an_error_and_no_signal(tiny_file_system: Path) -> None:
    fam = Fam.create(tiny_file_system / "fam", MIB)
    with pytest.raises(HostError, match="cannot write"):
        fam.write(0, bytes(MIB))


def test_more_fam_than_free_room_is_warned_of(
    tiny_file_system: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        Fam.create(tiny_file_system / "fam", MIB)
    assert "nodes that store more end, or hang under KVM" in caplog.text


def test_an_existing_file_of_another_size_is_refused_with_what_fits(tmp_path: Path) -> None:
    (tmp_path / "fam").write_bytes(bytes(2 * MIB))
    with pytest.raises(SpecError, match="give fam='2M'"):
        Fam.existing(tmp_path / "fam", MIB)


def test_a_directory_is_no_fam(tmp_path: Path) -> None:
    with pytest.raises(HostError):
        Fam.existing(tmp_path, MIB)


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(HostError, match="regular file"):
        Fam.existing(tmp_path / "fifo", MIB)


def test_an_array_is_the_file_itself(fam: Fam) -> None:
    view = fam.array("u8")
    assert view.shape == (MIB // 8,)
    fam.write(16, (0x1122334455667788).to_bytes(8, "little"))
    assert view[2] == 0x1122334455667788


def test_an_array_is_read_only_unless_asked(fam: Fam) -> None:
    view = fam.array("u1")
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        view.flags.writeable = True


def test_a_writable_array_reaches_the_file(fam: Fam) -> None:
    fam.array("u4", offset=8, count=2, writable=True)[:] = [1, 2]
    assert fam.read(8, 8) == np.array([1, 2], "<u4").tobytes()


@pytest.mark.parametrize(
    ("dtype", "offset", "count"),
    [
        ("u8", -8, None),
        ("u8", 4, None),
        ("u8", MIB + 8, None),
        ("u8", 0, MIB),
        ("u8", 0, -1),
        ("u8", MIB - 8, 2),
        ("O", 0, None),
        ("V0", 0, None),
    ],
)
def test_a_range_or_type_that_fam_has_not_is_refused(
    fam: Fam, dtype: str, offset: int, count: int | None
) -> None:
    with pytest.raises(SpecError):
        fam.array(dtype, offset, count)


def test_a_file_system_that_takes_no_write_is_written_through_a_mapping(
    fam: Fam, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_hugetlbfs(*_: object) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "pwrite", as_hugetlbfs)
    fam.write(5, b"here")
    assert fam.read(4, 6) == b"\0here\0"


def test_a_file_that_cannot_be_mapped_is_named(fam: Fam, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr("mmap.mmap", refuse)
    with pytest.raises(HostError, match="/fam: Cannot allocate memory"):
        fam.array("u1")


def test_an_empty_range_at_the_end_is_empty(fam: Fam) -> None:
    assert fam.array("u8", MIB).shape == (0,)


def test_reading_a_hole_allocates_nothing(fam: Fam) -> None:
    before = fam.allocated()
    assert fam.read(0, 65536) == bytes(65536)
    assert fam.allocated() == before


def test_a_truncated_file_is_noticed_before_it_is_mapped(fam: Fam) -> None:
    os.truncate(fam.path, 4096)
    for look in (lambda: fam.array("u1"), lambda: fam.read(0, 8), fam.check):
        with pytest.raises(HostError, match="truncated"):
            look()


def test_a_replaced_file_is_noticed(fam: Fam) -> None:
    fam.path.rename(fam.path.with_name("old"))
    Fam.create(fam.path, MIB)
    with pytest.raises(HostError, match="replaced"):
        fam.array("u1")


def test_only_a_file_that_the_lab_made_is_removed(fam: Fam) -> None:
    Fam.existing(fam.path, MIB).remove()
    assert fam.path.exists()
    fam.remove()
    assert not fam.path.exists()
    fam.remove()


def test_a_file_put_in_its_place_is_not_removed(fam: Fam) -> None:
    fam.path.rename(fam.path.with_name("old"))
    fam.path.write_bytes(b"somebody's")
    fam.remove()
    assert fam.path.read_bytes() == b"somebody's"


def test_a_link_put_in_the_place_of_fam_is_not_followed(tmp_path: Path) -> None:
    fam = Fam.create(tmp_path / "fam", MIB)
    fam.path.rename(tmp_path / "moved")
    fam.path.symlink_to(tmp_path / "moved")
    for look in (fam.check, lambda: fam.write(0, b"x"), lambda: fam.array("u8")):
        with pytest.raises(HostError, match="cannot open FAM"):
            look()
    fam.remove()
    assert (tmp_path / "moved").exists()


TRUNCATED = """
import os, pathlib
from fame_lab.host.fam import Fam
fam = Fam.create(pathlib.Path({path!r}), 1 << 20)
view = fam.array("u1")
os.truncate(fam.path, 4096)
view[1 << 19]
"""


def test_a_view_of_a_file_that_is_truncated_dies_with_a_word(tmp_path: Path) -> None:
    program = TRUNCATED.format(path=str(tmp_path / "fam"))
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGBUS
    assert "Bus error" in ended.stderr
    assert 'File "<string>", line 7' in ended.stderr


def test_a_view_in_a_kernel_dies_with_a_word_in_its_servers_log(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        manager = KernelManager(
            kernel_name="python3", transport="ipc", connection_file=str(tmp_path / "k.json")
        )
        manager.start_kernel(stdout=log, stderr=log)
        try:
            client = manager.blocking_client()
            client.start_channels()
            client.wait_for_ready(timeout=60)
            client.execute(TRUNCATED.format(path=str(tmp_path / "fam")))
            while manager.is_alive():
                time.sleep(0.05)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
    log_text = (tmp_path / "log").read_text()
    assert "Bus error" in log_text
    assert "line 7" in log_text


def test_a_file_that_is_announced_is_not_there_yet_and_one_that_is_not_leaves_none(tmp_path: Path) -> None:
    answers: list[bool] = []

    def announce(fam: Fam) -> None:
        answers.append(fam.path.exists())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Fam.create(tmp_path / "fam", MIB, announce)
    assert answers == [False]
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_unnamed_files_has_it_made_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def without(path: Any, flags: int, *rest: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", without)
    fam = Fam.create(tmp_path / "fam", MIB)
    fam.check()
    with pytest.raises(HostError, match="File exists"):
        Fam.create(tmp_path / "fam", MIB)
    fam.check()
