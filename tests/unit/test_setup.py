"""What `make setup` promises, with stand-ins for the programs that it calls: no package is installed here."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / ".ci/setup").is_file(), reason="set-up is in a clone only")

NOBODY = 65534

# Answers to all that set-up asks a Python, and keeps a record of what it was told to install.
PYTHON = """\
#!/bin/sh
case "$1 $2" in
    "- ") cat >/dev/null; echo "$STAND_INS/python3" ;;
    "-m venv") mkdir -p .venv/bin; cp "$STAND_INS/python3" .venv/bin/python
        echo "command = $PWD/.venv" >.venv/pyvenv.cfg ;;
    "-m pip") echo pip >>"$STAND_INS/calls"
        for last; do :; done; echo "$last" >>"$STAND_INS/installed"
        [ -z "$PIP_SLEEP" ] || sleep "$PIP_SLEEP"
        [ -z "$PIP_FAILS" ] || { echo "no matching distribution"; exit 1; }
        mkdir -p fame_lab/guest/bin fame_lab/traffic/bin
        touch fame_lab/guest/bin/fame-probe fame_lab/traffic/bin/fame-trace-7.so ;;
    "-c "*version*) echo "Python 3.11" ;;
    "-c "*cached*) [ -e "$STAND_INS/image" ] ;;
    "-c "*ensure*) echo image >>"$STAND_INS/calls"; touch "$STAND_INS/image" ;;
esac
"""
DPKG_QUERY = '#!/bin/sh\nfor package; do :; done\n[ "$package" = "$MISSING" ] || echo installed\n'


class Clone:
    """A clone's set-up among stand-ins."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.path = base / "clone"
        self.stand_ins = base / "stand-ins"
        for name in (".ci/setup", "pyproject.toml"):
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.path / name)
        (self.path / "fame_lab/guest/probe").mkdir(parents=True)
        (self.path / "fame_lab/core").mkdir()
        (self.path / "fame_lab/core/native.py").touch()
        self.stand_ins.mkdir()
        for name, text in (("python3", PYTHON), ("dpkg-query", DPKG_QUERY)):
            (self.stand_ins / name).write_text(text)
            (self.stand_ins / name).chmod(0o755)

    def start(self, *words: str, **settings: str) -> subprocess.Popen[str]:
        if os.geteuid() == 0:  # set-up as root would mend this host's /dev/kvm
            for directory, names, files in os.walk(self.base):
                for name in [".", *names, *files]:
                    os.chown(Path(directory, name), NOBODY, NOBODY)
        environment = {
            "PATH": f"{self.stand_ins}:/usr/bin:/bin",
            "STAND_INS": str(self.stand_ins),
            **settings,
        }
        return subprocess.Popen(
            [self.path / ".ci/setup", *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            user=NOBODY if os.geteuid() == 0 else None,
            start_new_session=True,
        )

    def setup(self, *words: str, **settings: str) -> tuple[int, str, str]:
        process = self.start(*words, **settings)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    @property
    def installed(self) -> list[str]:
        return (self.stand_ins / "installed").read_text().split()

    @property
    def calls(self) -> list[str]:
        record = self.stand_ins / "calls"
        return record.read_text().split() if record.exists() else []


@pytest.fixture
def clone() -> Iterator[Clone]:
    base = Path(tempfile.mkdtemp(prefix="fame_lab-setup-"))
    base.chmod(0o755)
    yield Clone(base)
    shutil.rmtree(base)


def snapshot(directory: Path) -> dict[str, str]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {
        str(path): f"{path.stat().st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in files
    }


def test_set_up_makes_what_is_missing_and_says_so(clone: Clone) -> None:
    status, output, _ = clone.setup()
    assert status == 0
    assert clone.calls == ["pip", "image"]
    assert [line.split(":")[1].strip() for line in output.splitlines() if "/dev/kvm" not in line] == [
        "packages", ".venv", ".venv", "guest image",
    ]  # fmt: skip


def test_a_second_set_up_changes_nothing(clone: Clone) -> None:
    clone.setup()
    before = snapshot(clone.base)
    status, output, _ = clone.setup()
    assert status == 0
    assert ".venv: up to date" in output and "guest image: there" in output
    assert snapshot(clone.base) == before


def test_the_tests_tools_come_with_the_first_door_that_takes_them_and_stay(clone: Clone) -> None:
    clone.setup()
    assert clone.installed == ["."]
    clone.setup("check")
    clone.setup()
    clone.setup("unit")
    assert clone.installed == [".", ".[test]"]


@pytest.mark.parametrize("source", ["pyproject.toml", "fame_lab/guest/probe/new.c"])
def test_changed_sources_are_installed_into_the_same_environment(clone: Clone, source: str) -> None:
    clone.setup()
    (clone.path / ".venv/kept").touch()
    with (clone.path / source).open("a") as file:
        file.write("# changed\n")
    clone.setup()
    assert clone.calls == ["pip", "image", "pip"]
    assert (clone.path / ".venv/kept").exists()


def test_a_lost_probe_program_is_made_again(clone: Clone) -> None:
    clone.setup()
    (clone.path / "fame_lab/guest/bin/fame-probe").unlink()
    clone.setup()
    assert clone.calls == ["pip", "image", "pip"]


def test_a_failing_step_says_what_failed_and_what_to_do(clone: Clone) -> None:
    status, _, errors = clone.setup(PIP_FAILS="yes")
    assert status != 0
    assert "| no matching distribution" in errors
    assert "pip install" in errors and "ended with status 1" in errors
    assert "then run this again" in errors


def test_an_environment_that_was_not_finished_is_made_anew(clone: Clone) -> None:
    clone.setup(PIP_FAILS="yes")
    (clone.path / ".venv/half").touch()
    status, output, _ = clone.setup()
    assert status == 0
    assert "not finished" in output
    assert not (clone.path / ".venv/half").exists()


def test_an_environment_whose_making_was_killed_is_made_anew(clone: Clone) -> None:
    process = clone.start(PIP_SLEEP="60")
    while "pip" not in clone.calls:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (clone.path / ".venv/half").touch()
    assert clone.setup()[0] == 0
    assert not (clone.path / ".venv/half").exists()


def test_a_moved_clone_makes_its_environment_anew(clone: Clone) -> None:
    clone.setup()
    (clone.path / ".venv/of-before").touch()
    clone.path = clone.path.rename(clone.base / "moved")
    status, output, _ = clone.setup()
    assert status == 0
    assert "made elsewhere" in output
    assert not (clone.path / ".venv/of-before").exists()


def test_an_environment_made_here_by_hand_is_kept(clone: Clone) -> None:
    clone.setup()
    (clone.path / ".venv/fame_lab-setup").unlink()
    (clone.path / ".venv/of-hand").touch()
    assert clone.setup()[0] == 0
    assert (clone.path / ".venv/of-hand").exists()


def test_two_at_once_install_once(clone: Clone) -> None:
    first = clone.start(PIP_SLEEP="1")
    while "pip" not in clone.calls:
        time.sleep(0.05)
    status, output, _ = clone.setup()
    assert first.wait(timeout=30) == 0 and status == 0
    assert "waiting for another set-up" in output
    assert clone.calls == ["pip", "image"]
    first.communicate()


@pytest.mark.parametrize("package", ["qemu-system-x86", "chromium"])
def test_a_missing_package_that_one_may_not_install_is_asked_of_an_administrator(
    clone: Clone, package: str
) -> None:
    # A sudo that refuses, whether or not this host has one.
    (clone.stand_ins / "sudo").write_text("#!/bin/sh\nexit 1\n")
    (clone.stand_ins / "sudo").chmod(0o755)
    status, _, errors = clone.setup("test", MISSING=package)
    assert status != 0
    assert f"apt-get install --yes --no-install-recommends {package}\n" in errors
    assert "then run this again" in errors
    assert clone.calls == []


def test_only_the_tests_need_a_browser(clone: Clone) -> None:
    status, output, errors = clone.setup(MISSING="chromium")
    assert (status, errors) == (0, "")
    assert "chromium" not in output


def test_what_networks_alone_need_stops_nobody_who_cannot_install_it(clone: Clone) -> None:
    (clone.stand_ins / "sudo").write_text("#!/bin/sh\nexit 1\n")
    (clone.stand_ins / "sudo").chmod(0o755)
    status, output, errors = clone.setup(MISSING="vde2")
    assert (status, errors) == (0, "")
    assert "but for labs with network='libvirt': vde2" in output
    assert clone.calls == ["pip", "image"]


def test_without_a_python_that_will_do_it_is_said_which_would(clone: Clone) -> None:
    status, _, errors = clone.setup(PYTHON="/nowhere/python3")
    assert status != 0
    assert "Python 3.11" in errors and "make setup PYTHON=" in errors


@pytest.mark.parametrize("door", ["demo", "lab", "test", "unit", "check", "soak"])
def test_every_door_begins_with_set_up(door: str) -> None:
    run = subprocess.run(
        ["make", "--no-print-directory", "-n", door],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    begins = ".ci/setup"
    assert run.stdout.splitlines()[0].rstrip() == (begins if door in ("demo", "lab") else f"{begins} {door}")


def test_make_test_lints_checks_types_and_runs_all_but_the_long_counts() -> None:
    run = subprocess.run(
        ["make", "--no-print-directory", "-n", "test"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for part in ("ruff check", "ruff format --check", "mypy", "pytest -m 'not soak' --numprocesses "):
        assert part in run.stdout


def test_ci_runs_what_everybody_runs() -> None:
    assert re.search(r"^exec make test </dev/null$", (ROOT / ".ci/run").read_text(), re.MULTILINE)


def test_ubuntu_which_has_chromium_as_a_snap_alone_is_not_asked_for_its_package(clone: Clone) -> None:
    release = clone.base / "os-release"
    release.write_text("NAME=Ubuntu\nID=ubuntu\nVERSION_ID=24.04\n")
    status, output, errors = clone.setup("test", MISSING="chromium", OS_RELEASE=str(release))
    assert (status, errors) == (0, "")
    assert "installing" not in output.partition(".venv")[0]
