import os
from pathlib import Path

import pytest

from fame_lab.core.lab_directory import SHM
from fame_lab.errors import HostError
from fame_lab.host.libvirt.session_directory import make, session_cache, session_runtime, short_configuration

LONG = "/afs/uni.example/user/f/first.last_of_a_long_name"


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    return 4711


def test_a_short_home_keeps_libvirts_usual_place(user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/first.last")
    assert short_configuration() is None


def test_a_long_home_has_a_short_place_of_the_kits_own(user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", LONG)
    assert short_configuration() == SHM / f"fame_lab-{user}.libvirt"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/tmp/c")  # noqa: S108 - a short one
    assert short_configuration() is None


def test_a_home_with_a_space_has_all_of_it_there(user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/first last")
    place = SHM / f"fame_lab-{user}.libvirt"
    assert [short_configuration(), session_cache(), session_runtime()] == [place] * 3
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/4711")
    assert session_runtime() is None
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("HOME", "/home/first.last")
    assert session_runtime() is None
    monkeypatch.setenv("HOME", "/home/" + "n" * 80)
    assert session_runtime() == place
    assert session_cache() == Path("/home", "n" * 80, ".cache")


def test_roots_libvirt_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("HOME", LONG)
    assert short_configuration() is None


def test_the_place_is_the_users_alone(tmp_path: Path) -> None:
    make(tmp_path / "own")
    make(tmp_path / "own")
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700
    (tmp_path / "own").chmod(0o755)
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").write_text("")
    for place in ("own", "link", "file", "not/there"):
        with pytest.raises(HostError):
            make(tmp_path / place)
