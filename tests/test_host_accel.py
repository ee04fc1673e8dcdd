import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fame_lab.errors import HostError
from fame_lab.guest.appliance import Appliance
from fame_lab.host import accel
from fame_lab.host.accel import Accelerator

READY = "fame: kvm-trial ready"


@pytest.fixture
def image(tmp_path: Path) -> Appliance:
    return Appliance(tmp_path / "kernel", tmp_path / "initrd", "ab" * 32, "6.1")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host of its own: a cache, a KVM device, and a directory for a QEMU."""
    directory = tmp_path / "bin"
    directory.mkdir()
    device = tmp_path / "kvm"
    device.touch(0o660)
    monkeypatch.setattr(accel, "KVM", device)
    monkeypatch.setattr(accel, "FIRST_LINE_SECONDS", 0.4)
    monkeypatch.setattr(accel, "READY_SECONDS", 1.5)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path / "cache"))
    return directory


def install_qemu(programs: Path, script: str) -> Path:
    """Install a QEMU that counts its starts and then runs `script`."""
    starts = programs / "starts"
    qemu = programs / accel.QEMU
    qemu.write_text(f"#!/bin/sh\necho $$ >> {starts}\n{script}\n")
    qemu.chmod(0o755)
    return starts


def gone(starts: Path) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in starts.read_text().split())


def test_kvm_that_boots_the_guest_is_taken(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, f"echo Linux version; echo '{READY}'; exec sleep 60")
    chosen = accel.choose("auto", image)
    assert chosen.kind == "kvm"
    assert "booted" in chosen.reason
    assert gone(starts)


def test_a_qemu_that_dies_is_quoted(programs: Path, image: Appliance) -> None:
    install_qemu(programs, f"echo '{accel.QEMU}: error: failed to set MSR 0x10a' >&2; exit 1")
    chosen = accel.choose("auto", image)
    assert chosen.kind == "tcg"
    assert "(error: failed to set MSR 0x10a)" in chosen.reason


def test_a_guest_that_never_prints_is_ended(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, "exec sleep 60")
    chosen = accel.choose("auto", image)
    assert chosen.kind == "tcg"
    assert "printed nothing" in chosen.reason
    assert gone(starts)


def test_a_guest_that_prints_for_ever_is_ended(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, "exec yes '[    0.0] Linux version'")
    chosen = accel.choose("auto", image)
    assert chosen.kind == "tcg"
    assert "was not ready" in chosen.reason
    assert gone(starts)


def test_what_a_guest_prints_cannot_play_tricks_on_a_terminal(programs: Path, image: Appliance) -> None:
    install_qemu(programs, r"printf '\033[2Jpanic\n'; exec sleep 60")
    reason = accel.choose("auto", image).reason
    assert reason.isprintable()
    assert "?[2Jpanic" in reason


def test_the_answer_is_remembered(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, "exit 1")
    first = accel.choose("auto", image)
    assert accel.choose("auto", image) == first
    assert len(starts.read_text().split()) == 1


def test_it_is_tried_again_when_the_device_changes(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, "exit 1")
    accel.choose("auto", image)
    accel.KVM.chmod(stat.S_IMODE(accel.KVM.stat().st_mode) ^ 0o006)
    accel.choose("auto", image)
    assert len(starts.read_text().split()) == 2


@pytest.mark.parametrize("spoilt", ["", "[]", "{}", '"x"'])
def test_a_spoilt_memory_is_no_answer(programs: Path, image: Appliance, tmp_path: Path, spoilt: str) -> None:
    starts = install_qemu(programs, "exit 1")
    accel.choose("auto", image)
    (tmp_path / "cache/kvm-trial.json").write_text(spoilt)
    accel.choose("auto", image)
    assert len(starts.read_text().split()) == 2


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    programs: Path, image: Appliance, tmp_path: Path
) -> None:
    install_qemu(programs, "exit 1")
    (tmp_path / "cache").touch()
    assert accel.choose("auto", image).kind == "tcg"


def test_kvm_that_is_wanted_and_does_not_work_is_an_error(programs: Path, image: Appliance) -> None:
    install_qemu(programs, "echo oh no >&2; exit 1")
    with pytest.raises(HostError, match=r"accel='kvm' cannot be had: .*oh no.*accel='auto'.*chown root:kvm"):
        accel.choose("kvm", image)


def test_a_host_without_kvm_needs_no_trial(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, "exit 1")
    accel.KVM.unlink()
    chosen = accel.choose("auto", image)
    assert chosen.kind == "tcg"
    assert "there is no" in chosen.reason
    assert not starts.exists()


def test_a_missing_qemu_is_told_with_its_package(programs: Path, image: Appliance, tmp_path: Path) -> None:
    os.environ["PATH"] = str(tmp_path)  # put back by the fixture
    with pytest.raises(HostError, match="apt-get install qemu-system-x86"):
        accel.choose("auto", image)


def test_tcg_needs_no_trial(programs: Path, image: Appliance) -> None:
    assert accel.choose("tcg", image) == Accelerator("tcg", "TCG was asked for", 40)


def test_what_runs_is_taken_at_its_word() -> None:
    assert accel.choose("kvm").kind == "kvm"
    with pytest.raises(ValueError, match="guest image"):
        accel.choose("auto")


def test_tcg_addresses_512_gib_of_fam() -> None:
    assert accel.choose("tcg").fam_limit == 512 << 30


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_the_trial_ends_its_qemu(programs: Path, number: signal.Signals) -> None:
    starts = install_qemu(programs, "exec sleep 60")
    code = (
        "from pathlib import Path\n"
        "from fame_lab.guest.appliance import Appliance\n"
        "from fame_lab.host import accel\n"
        f"accel.KVM = Path({str(accel.KVM)!r})\n"
        "accel.FIRST_LINE_SECONDS = 60\n"
        "accel.choose('auto', Appliance(Path('k'), Path('i'), 'ab', '6.1'))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 30
        while not starts.exists() or not starts.read_text().endswith("\n"):
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(timeout=30) != 0
    while not gone(starts):  # the test's own timeout ends it
        time.sleep(0.02)


@pytest.mark.vm
def test_this_host_comes_to_an_answer() -> None:
    from fame_lab.guest import appliance

    chosen = accel.choose("auto", appliance.ensure())
    assert chosen.kind in ("kvm", "tcg")
    assert chosen.reason
    record = json.loads(accel._memory().read_text()) if accel.KVM.exists() else {"works": False}
    assert record["works"] == (chosen.kind == "kvm")
