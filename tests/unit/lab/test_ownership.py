import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.errors import LabError
from fame_lab.lab.ownership import Ownership, locked_state, mark_orphaned, owner_state

OWNER = """
import sys
from pathlib import Path
from fame_lab.lab.ownership import Ownership
from fame_lab.core.lab_directory import LabDirectory
claim = Ownership.acquire(LabDirectory(Path(sys.argv[1])))
print("mine", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def directory(tmp_path: Path) -> LabDirectory:
    lab_directory = LabDirectory(tmp_path / "fame_lab-0-claimed")
    lab_directory.make(None)
    return lab_directory


@pytest.fixture
def owner(directory: LabDirectory) -> subprocess.Popen[str]:
    """A process that has started a lab, and lives."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(directory.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "mine\n"
    return process


def test_a_lab_whose_owner_lives_is_used(owner: subprocess.Popen[str], directory: LabDirectory) -> None:
    assert [owner_state(directory) for _ in range(2)] == ["owned", "owned"]
    owner.communicate("")


def test_an_owner_that_is_killed_leaves_it_orphaned(
    owner: subprocess.Popen[str], directory: LabDirectory
) -> None:
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    assert [owner_state(directory) for _ in range(2)] == ["orphaned", "orphaned"]


def test_an_owner_that_ends_by_itself_leaves_it_on_purpose(
    owner: subprocess.Popen[str], directory: LabDirectory
) -> None:
    _, stderr = owner.communicate("")
    assert owner_state(directory) == "detached"
    assert f"the lab {directory.name!r} runs on without this program" in stderr


def test_an_owner_whose_lab_was_ended_by_another_says_nothing_of_it(
    owner: subprocess.Popen[str], directory: LabDirectory
) -> None:
    shutil.rmtree(directory.path)
    assert owner.communicate("")[1] == ""


def test_who_takes_up_an_orphaned_lab_uses_it_until_it_lets_go(
    owner: subprocess.Popen[str], directory: LabDirectory
) -> None:
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    claim = Ownership.share(directory)
    assert owner_state(directory) == "owned"
    claim.detach()
    assert owner_state(directory) == "orphaned"


def test_an_attached_process_that_ends_takes_nothing_from_the_owner(
    owner: subprocess.Popen[str], directory: LabDirectory
) -> None:
    Ownership.share(directory).detach()
    assert owner_state(directory) == "owned"
    owner.communicate("")


def test_a_fork_of_the_owner_does_not_let_go_of_it(directory: LabDirectory) -> None:
    claim = Ownership.acquire(directory)
    if (child := os.fork()) == 0:
        claim.detach()
        os._exit(0)
    os.waitpid(child, 0)
    assert owner_state(directory) == "owned"
    claim.detach()
    assert owner_state(directory) == "detached"


def test_what_is_being_taken_away_is_orphaned_if_that_is_cut_short(directory: LabDirectory) -> None:
    assert owner_state(directory) == "detached"
    mark_orphaned(directory)
    assert owner_state(directory) == "orphaned"


def test_a_lab_without_its_directory_is_orphaned(tmp_path: Path) -> None:
    directory = LabDirectory(tmp_path / "fame_lab-0-none")
    mark_orphaned(directory)
    assert owner_state(directory) == "orphaned"
    with pytest.raises(LabError, match="gone"):
        Ownership.share(directory)


def test_nobody_takes_up_what_is_being_taken_away(directory: LabDirectory) -> None:
    mark_orphaned(directory)
    outcome: list[str] = []

    def join() -> None:
        try:
            Ownership.share(directory).release()
            outcome.append("joined")
        except LabError:
            outcome.append("refused")

    with locked_state(directory) as state:
        assert state == "orphaned"
        waiting = threading.Thread(target=join)
        waiting.start()
        waiting.join(0.3)
        assert outcome == []
        directory.remove()
    waiting.join(10)
    assert outcome == ["refused"]


def test_a_lab_that_came_in_its_place_is_anothers(directory: LabDirectory) -> None:
    claim = Ownership.acquire(directory)
    assert claim.is_current
    directory.remove()
    assert claim.is_current  # what may yet run of it is still ours
    directory.make(None)
    theirs = Ownership.acquire(directory)
    assert not claim.is_current
    claim.detach()
    assert owner_state(directory) == "owned"
    theirs.detach()
