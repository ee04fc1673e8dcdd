import os
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from fame_lab.errors import HostError
from fame_lab.host import qemu
from fame_lab.host.qemu import Qemu
from fame_lab.host.qemu_user import QemuUser

DEBIANS = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2~bpo12+1)"


def program(path: Path, script: str) -> Path:
    """A program in QEMU's place, which notes each of its starts."""
    path.write_text(f"#!/bin/sh\necho x >> {path.parent}/starts\n{script}\n")
    path.chmod(0o755)
    return path


def starts(path: Path) -> int:
    return len((path.parent / "starts").read_text().split())


def test_a_qemu_says_its_version(tmp_path: Path) -> None:
    result = qemu.read(program(tmp_path / "q", f"echo '{DEBIANS}'"))
    assert result == Qemu(tmp_path / "q", 10_000_002, "(Debian 1:10.0.2+ds-2~bpo12+1)")
    assert str(result) == f"QEMU 10.0.2 at {tmp_path / 'q'}"


def test_a_release_candidate_and_a_version_of_two_numbers_are_read(tmp_path: Path) -> None:
    assert qemu.read(program(tmp_path / "a", "echo 'QEMU emulator version 10.0.94 (v10.1.0-rc4)'"))
    assert qemu.read(program(tmp_path / "b", "echo 'QEMU emulator version 11.1'")).version == 11_001_000


def test_the_answer_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    path = program(tmp_path / "q", f"echo '{DEBIANS}'")
    qemu.read(path)
    qemu.read(path)
    assert starts(path) == 1
    program(path, "echo 'QEMU emulator version 11.1.3'")
    assert qemu.read(path).version == 11_001_003


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("echo 'QEMU emulator version 6.2.0'", r"QEMU 6\.2\.0 .* too old.*7\.2\.0"),
        ("echo hello", "no QEMU: .*'hello'"),
        ("exit 3", "no QEMU: .* prints nothing"),
        (r"printf '\033[2J\377'", "no QEMU"),
        ("exec cat /dev/zero", "no QEMU"),
        ("yes rubbish", "no QEMU: .*'rubbish"),
    ],
)
def test_what_is_no_qemu_for_a_lab_is_refused_by_what_it_says(
    tmp_path: Path, script: str, named: str
) -> None:
    with pytest.raises(HostError, match=named) as refused:
        qemu.read(program(tmp_path / "q", script))
    assert str(refused.value).isprintable()
    assert str(tmp_path / "q") in str(refused.value)
    assert len(str(refused.value)) < 600


def test_a_program_that_hangs_is_ended_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fame_lab.host.qemu_output._SECONDS", 0.3)
    path = program(tmp_path / "q", f"sleep 600 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(HostError, match="did not end"):
        qemu.read(path)
    child = (tmp_path / "child").read_text().strip()
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text():
        time.sleep(0.02)  # the test's own timeout ends it


QMP = """
case "$*" in
    -version) echo 'QEMU emulator version 10.0.2' ;;
    *) echo '{"QMP": {}}'; cat >/dev/null; echo '{"return": {}}'
       echo '{"return": {"arch": "%s"}}'; echo '%s' ;;
esac
"""


def test_a_qemu_for_other_guests_is_refused(tmp_path: Path) -> None:
    arm = qemu.read(program(tmp_path / "q", QMP % ("aarch64", '{"return": [{"option": "plugin"}]}')))
    with pytest.raises(HostError, match="emulates aarch64, and nodes are x86_64"):
        qemu.check_fit(arm, trace=False)


def test_a_qemu_without_plugins_is_refused_where_accesses_are_to_be_counted(tmp_path: Path) -> None:
    bare = qemu.read(program(tmp_path / "q", QMP % ("x86_64", '{"error": {"class": "GenericError"}}')))
    qemu.check_fit(bare, trace=False)
    with pytest.raises(HostError, match=r"trace is True and QEMU 10\.0\.2 .* without plugins"):
        qemu.check_fit(bare, trace=True)


@pytest.mark.parametrize("answer", ["", "rubbish", "[[[[", '{"return": {"arch": null}}', '{"return": [1]}'])
def test_a_program_that_only_says_that_it_is_qemu_is_refused(tmp_path: Path, answer: str) -> None:
    script = f"case $1 in -version) echo '{DEBIANS}' ;; *) echo '{answer}' ;; esac"
    with pytest.raises(HostError, match="does not say what it emulates"):
        qemu.check_fit(qemu.read(program(tmp_path / "q", script)), trace=False)


def test_libraries_that_the_host_lacks_are_named(tmp_path: Path) -> None:
    (tmp_path / "lost.c").write_text("int lost(void) { return 0; }")
    (tmp_path / "main.c").write_text("int lost(void); int main(void) { return lost(); }")
    for command in (
        f"cc -shared -o {tmp_path}/liblost.so.7 {tmp_path}/lost.c",
        f"cc -o {tmp_path}/q {tmp_path}/main.c {tmp_path}/liblost.so.7",
    ):
        subprocess.run(command.split(), check=True)
    (tmp_path / "liblost.so.7").unlink()
    with pytest.raises(HostError, match=r"this host lacks [^ ]*liblost\.so\.7"):
        qemu.read(tmp_path / "q")


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's QEMU is the user")
def test_nothing_of_a_path_is_ever_run_as_root() -> None:
    # Not in pytest's own directory, which that user may not pass.
    with tempfile.TemporaryDirectory() as place:
        directory, user = Path(place), QemuUser(65534, 65534)
        directory.chmod(0o777)
        script = f"id -u >>{directory}/ids; echo 'error while loading shared libraries: x'"
        path = program(directory / "q", script)
        with pytest.raises(HostError, match="no QEMU"):
            qemu.read(path, user)
        qemu.complaints(path, user)
        with pytest.raises(HostError):
            qemu.abilities(Qemu(path, 10_000_000), user)
        assert set((directory / "ids").read_text().split()) == {"65534"}


def test_the_hosts_own_can_do_what_labs_need() -> None:
    qemu.check_fit(qemu.read(qemu.of_host()), trace=True)


def test_what_cannot_be_run_is_refused_by_why(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"no QEMU at /nowhere/qemu \(No such file"):
        qemu.read(Path("/nowhere/qemu"))
    with pytest.raises(HostError, match="is no program"):
        qemu.read(tmp_path)
    closed = program(tmp_path / "closed", "true")
    closed.chmod(0o644)
    with pytest.raises(HostError, match=r"may not be executed.*chmod \+x"):
        qemu.read(closed)
    text = tmp_path / "text"
    text.write_bytes(b"\x7fELF")
    text.chmod(0o755)
    with pytest.raises(HostError, match=r"cannot be run \(Exec format error"):
        qemu.read(text)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's QEMU is the user")
def test_a_path_that_qemus_user_may_not_enter_is_refused(tmp_path: Path) -> None:
    path = program(tmp_path / "q", f"echo '{DEBIANS}'")
    tmp_path.chmod(stat.S_IRWXU)
    with pytest.raises(HostError, match="runs as user 65534, who may not execute"):
        qemu.read(path, QemuUser(65534, 65534))


def test_the_hosts_own_is_found_and_read() -> None:
    assert qemu.read(qemu.of_host()).version >= qemu.LEAST


@pytest.mark.parametrize("path", ["/usr/bin/qemu-system-x86_64", "/usr/libexec/qemu-kvm", "/usr/bin/kvm"])
def test_where_distributions_have_theirs_is_the_hosts(path: str) -> None:
    assert qemu.is_hosts(path)
    assert not qemu.is_hosts(f"/opt{path}")
