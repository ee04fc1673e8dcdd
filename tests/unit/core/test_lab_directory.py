import os
import shutil
import threading
from pathlib import Path

import pytest

from fame_lab.core.cache import cache_directory, caches, own_cache
from fame_lab.core.lab_directory import SHM, LabDirectory, start_lock
from fame_lab.errors import HostError, LabError
from fame_lab.lab.inventory import LabStatus


@pytest.fixture
def directory(tmp_path: Path) -> LabDirectory:
    lab_directory = LabDirectory(tmp_path / f"fame_lab-{os.geteuid()}-held")
    lab_directory.make(None)
    return lab_directory


def test_a_directory_is_held_until_its_start_has_ended(directory: LabDirectory) -> None:
    assert not directory.is_held()
    with directory.locked() as ours:
        assert ours
        assert directory.is_held()
    assert not directory.is_held()


def test_a_start_holds_its_directory_from_its_first_moment(tmp_path: Path) -> None:
    directory = LabDirectory(tmp_path / "fame_lab-0-begun")
    with directory.create_locked(None):
        assert directory.is_held()
    assert not directory.is_held()
    with pytest.raises(LabError, match="exists"), directory.create_locked(None):
        pass


def test_looking_whether_it_is_held_holds_up_nobody(directory: LabDirectory) -> None:
    assert [directory.is_held() for _ in range(2)] == [False, False]
    with directory.locked() as ours:
        assert ours


def test_one_that_was_taken_away_meanwhile_is_not_ours(directory: LabDirectory) -> None:
    outcome: list[bool] = []

    def start() -> None:
        with directory.locked() as ours:
            outcome.append(ours)

    with directory.locked():
        waiting = threading.Thread(target=start)
        waiting.start()
        while not waiting.is_alive():
            pass
        waiting.join(0.2)
        assert outcome == []
        shutil.rmtree(directory.path)
    waiting.join(10)
    assert outcome == [False]
    assert not directory.is_held()


def test_a_name_is_made_once(directory: LabDirectory) -> None:
    with pytest.raises(LabError, match=r"held.*exists or starts, or was killed"):
        directory.make(None)


def test_a_start_under_way_is_no_orphan(directory: LabDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LabDirectory, "of", lambda _: directory)
    with directory.locked():
        status = LabStatus._left(directory)
        assert not status.is_orphan
        # As for who looked a moment before the start began.
        assert not LabStatus("held", None, {}, "").end_if_orphan()
        assert directory.path.is_dir()
    assert LabStatus._left(directory).is_orphan


def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabDirectory:
    """Return the directory that a lab would have, in a place where anybody may put anything."""
    monkeypatch.setattr("fame_lab.core.lab_directory.SHM", tmp_path / "shm")
    (tmp_path / "shm").mkdir()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "kept").write_text("kept")
    return LabDirectory.of("demo")


@pytest.mark.parametrize("target", ["theirs", "nowhere", "theirs/kept"])
def test_a_link_in_its_place_is_neither_followed_nor_taken_for_a_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    directory = planted(tmp_path, monkeypatch)
    directory.path.symlink_to(tmp_path / target)
    with pytest.raises(LabError, match="another user's, or a link"), directory.create_locked(None):
        pass
    assert LabDirectory.all() == []
    assert not directory.is_held()
    with directory.locked() as ours:
        assert not ours
    assert directory.path.is_symlink()
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["kept"]


def test_another_users_directory_in_its_place_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = planted(tmp_path, monkeypatch)
    directory.path.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(LabError, match="another user's, or a link"):
        directory.make(None)


def test_nothing_is_written_through_a_link(tmp_path: Path, directory: LabDirectory) -> None:
    (directory.path / "id_ed25519").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostError, match="File exists"):
        directory.write(directory.key, b"secret")
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_written_is_its_owners_alone(directory: LabDirectory) -> None:
    directory.write(directory.key, b"secret")
    assert directory.key.stat().st_mode & 0o777 == 0o600
    assert directory.path.stat().st_mode & 0o777 == 0o700


def test_nobody_else_can_open_what_holds_up_a_start(directory: LabDirectory) -> None:
    with start_lock():
        looking = threading.Thread(target=directory.is_held, daemon=True)
        looking.start()
        looking.join(0.2)
        assert looking.is_alive()
        lock = SHM / f"fame_lab-{os.geteuid()}.begin"
        assert lock.stat().st_mode & 0o777 == 0o600
    looking.join(10)
    assert not looking.is_alive()


def test_a_cache_that_can_only_be_read_is_enough(
    tmp_path: Path, directory: LabDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path / "nowhere"))
    assert not directory.is_held()
    assert not (tmp_path / "nowhere").exists()


def test_what_a_user_leaves_goes_to_his_own_cache_where_the_chosen_one_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path / "new" / "cache"))
    assert own_cache() == cache_directory() == tmp_path / "new/cache"
    assert caches("images") == [tmp_path / "new/cache/images"]
    (tmp_path / "new").mkdir()
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path / "new")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert own_cache() == tmp_path / "own/fame_lab"
    assert caches("images") == [tmp_path / "new/cache/images", tmp_path / "own/fame_lab/images"]


def test_a_home_of_nobody_for_the_cache_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAME_LAB_CACHE", "~nobody-here/cache")
    with pytest.raises(HostError, match="FAME_LAB_CACHE is '~nobody-here/cache'"):
        cache_directory()


@pytest.mark.parametrize("place", ["file", "file/below", "fifo"])
def test_a_cache_that_is_no_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path / place))
    with pytest.raises(HostError, match=r"FAME_LAB_CACHE is .* is no directory: give one"):
        cache_directory()
