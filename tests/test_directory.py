import os
import shutil
import threading
from pathlib import Path

import pytest

from fame_lab.directory import LabDirectory
from fame_lab.errors import LabError
from fame_lab.listing import Listing


@pytest.fixture
def directory(tmp_path: Path) -> LabDirectory:
    made = LabDirectory(tmp_path / f"fame_lab-{os.geteuid()}-held")
    made.make(None)
    return made


def test_a_directory_is_held_until_its_start_has_ended(directory: LabDirectory) -> None:
    assert not directory.is_held()
    with directory.held() as ours:
        assert ours
        assert directory.is_held()
    assert not directory.is_held()


def test_a_start_holds_its_directory_from_its_first_moment(tmp_path: Path) -> None:
    directory = LabDirectory(tmp_path / "fame_lab-0-begun")
    with directory.made_and_held(None):
        assert directory.is_held()
    assert not directory.is_held()
    with pytest.raises(LabError, match="exists"), directory.made_and_held(None):
        pass


def test_looking_whether_it_is_held_holds_up_nobody(directory: LabDirectory) -> None:
    assert [directory.is_held() for _ in range(2)] == [False, False]
    with directory.held() as ours:
        assert ours


def test_one_that_was_taken_away_meanwhile_is_not_ours(directory: LabDirectory) -> None:
    outcome: list[bool] = []

    def start() -> None:
        with directory.held() as ours:
            outcome.append(ours)

    with directory.held():
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
    with pytest.raises(LabError, match=r"held.*exists, or was killed"):
        directory.make(None)


def test_a_start_under_way_is_no_orphan(directory: LabDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LabDirectory, "of", lambda _: directory)
    with directory.held():
        found = Listing._left(directory)
        assert not found.is_orphan
        # As for who looked a moment before the start began.
        assert not Listing("held", None, {}, "").end_if_orphan()
        assert directory.path.is_dir()
    assert Listing._left(directory).is_orphan
