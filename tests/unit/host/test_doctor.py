import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fame_lab.errors import HostError
from fame_lab.host.doctor import doctor as visit
from fame_lab.host.doctor.diagnosis import Check


def test_a_step_that_hangs_is_told_and_the_others_go_on() -> None:
    never = threading.Event()

    def hang() -> Check:
        never.wait(60)
        return Check("hangs", "ok", "too late")

    diagnosis = visit._visit(
        visit._Step("hangs", hang, 0.1),
        visit._Step("cores", lambda: Check("cores", "ok", "2")),
    )
    never.set()
    assert [check.verdict for check in diagnosis.checks] == ["fail", "ok"]
    assert "no answer" in diagnosis.checks[0].found


def test_a_step_that_raises_is_told_and_the_others_go_on() -> None:
    def refuse() -> Check:
        raise HostError("libvirt refuses")

    diagnosis = visit._visit(
        visit._Step("libvirt", refuse), visit._Step("cores", lambda: Check("cores", "ok", "2"))
    )
    assert diagnosis.checks[0] == Check("libvirt", "fail", "could not be looked at: libvirt refuses")
    assert diagnosis.checks[1].verdict == "ok"


def test_a_process_that_hangs_is_ended_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pidfile = tmp_path / "pid"
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nsleep 60 &\necho $! >{pidfile}\nwait\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    check = visit._apart("libvirt", 0.5)
    assert check.verdict == "fail" and "no answer" in check.found and check.mend
    # It is killed, which on a busy host takes the kernel a moment; left alone it would sleep for a minute.
    end = time.monotonic() + 10
    while _runs(int(pidfile.read_text())) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _runs(int(pidfile.read_text()))


def test_a_process_that_fails_shows_its_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"No module named 'libvirt'\" >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    check = visit._apart("libvirt", 5)
    assert check.verdict == "fail"
    assert "No module named 'libvirt'" in check.found


def test_a_missing_qemu_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visit, "_apart", lambda *_words: Check("qemu", "fail", "qemu is not on this host"))
    check = visit._qemu("QEMU", "auto", "").look()
    assert check == Check("QEMU", "fail", "qemu is not on this host")


def test_importing_the_package_does_not_import_the_doctor() -> None:
    program = "import sys, fame_lab; raise SystemExit('fame_lab.host.doctor.doctor' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_this_host_gets_an_answer_to_every_step() -> None:
    names = [check.name for check in visit.doctor().checks]
    assert names[:4] == ["accelerator", "/dev/kvm", "libvirt", "QEMU"]
    assert len(names) == len(set(names))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
