import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import libvirt
import pytest

from fame_lab.core.sizes import format_size
from fame_lab.errors import HostError, LabError, SpecError
from fame_lab.guest.images.appliance import Appliance
from fame_lab.host import accelerator
from fame_lab.host.accelerator import Accelerator
from fame_lab.host.libvirt import connection
from fame_lab.host.qemu import PROGRAM

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
    monkeypatch.setattr(accelerator, "KVM", device)
    monkeypatch.setattr(accelerator, "FIRST_LINE_SECONDS", 0.4)
    monkeypatch.setattr(accelerator, "READY_SECONDS", 1.5)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path / "cache"))
    return directory


def install_qemu(programs: Path, script: str) -> Path:
    """Install a QEMU that counts its starts and then runs `script`."""
    starts = programs / "starts"
    qemu = programs / PROGRAM
    qemu.write_text(f"#!/bin/sh\necho $$ >> {starts}\n{script}\n")
    qemu.chmod(0o755)
    return starts


def no_process_left(starts: Path) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in starts.read_text().split())


def test_kvm_that_boots_the_guest_is_taken(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, f"echo Linux version; echo '{READY}'; exec sleep 60")
    chosen = accelerator.choose("auto", image)
    assert chosen.kind == "kvm"
    assert "booted" in chosen.reason
    assert no_process_left(starts)


def test_a_qemu_that_dies_is_quoted(programs: Path, image: Appliance) -> None:
    install_qemu(programs, f"echo '{PROGRAM}: error: failed to set MSR 0x10a' >&2; exit 1")
    chosen = accelerator.choose("auto", image)
    assert chosen.kind == "tcg"
    assert "(error: failed to set MSR 0x10a)" in chosen.reason


def test_a_guest_that_never_prints_is_ended(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, "exec sleep 60")
    chosen = accelerator.choose("auto", image)
    assert chosen.kind == "tcg"
    assert "printed nothing" in chosen.reason
    assert no_process_left(starts)


def test_a_guest_that_prints_for_ever_is_ended(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, "exec yes '[    0.0] Linux version'")
    chosen = accelerator.choose("auto", image)
    assert chosen.kind == "tcg"
    assert "was not ready" in chosen.reason
    assert no_process_left(starts)


def test_what_a_guest_prints_cannot_play_tricks_on_a_terminal(programs: Path, image: Appliance) -> None:
    install_qemu(programs, r"printf '\033[2Jpanic\n'; exec sleep 60")
    reason = accelerator.choose("auto", image).reason
    assert reason.isprintable()
    assert "?[2Jpanic" in reason


def test_the_answer_is_remembered(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, "exit 1")
    first = accelerator.choose("auto", image)
    assert accelerator.choose("auto", image) == first
    assert len(starts.read_text().split()) == 1


def test_it_is_tried_again_when_the_device_changes(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, "exit 1")
    accelerator.choose("auto", image)
    accelerator.KVM.chmod(stat.S_IMODE(accelerator.KVM.stat().st_mode) ^ 0o006)
    accelerator.choose("auto", image)
    assert len(starts.read_text().split()) == 2


def test_it_is_not_tried_again_when_udev_touches_the_device(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, "exit 1")
    first = accelerator.choose("auto", image)
    before = accelerator.KVM.stat().st_ctime_ns
    while accelerator.KVM.stat().st_ctime_ns == before:
        os.chown(accelerator.KVM, -1, accelerator.KVM.stat().st_gid)  # as udev does when a VM ends
    assert accelerator.choose("auto", image) == first
    assert len(starts.read_text().split()) == 1


def test_it_is_tried_again_when_qemus_user_may_open_the_device(
    programs: Path, image: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = install_qemu(programs, "exit 1")
    for may in (False, True, True):  # as an access list says, which no mode tells
        monkeypatch.setattr(accelerator, "can_open", lambda *_, may=may: may)
        accelerator.choose("auto", image)
    assert len(starts.read_text().split()) == 2


def test_trials_with_several_qemus_are_all_remembered(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, "exit 1")
    other = Appliance(image.kernel, image.initrd, "cd" * 32, "6.12")
    for each in (image, other, image, other):
        accelerator.choose("auto", each)
    assert len(starts.read_text().split()) == 2


def test_kvm_that_is_slow_is_had_by_name_and_not_by_auto(
    programs: Path, image: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator, "PATIENCE", 60)
    starts = install_qemu(programs, f"sleep 2; echo Linux version; echo '{READY}'; exec sleep 60")
    chosen = accelerator.choose("auto", image)
    assert chosen.kind == "tcg"
    assert "accel='kvm' waits 60 times as long" in chosen.reason
    assert accelerator.choose("kvm", image).kind == "kvm"
    assert accelerator.choose("kvm", image).kind == "kvm"
    assert accelerator.choose("auto", image).kind == "tcg"
    assert len(starts.read_text().split()) == 2


def test_kvm_by_name_needs_no_second_trial_where_auto_took_it(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, f"echo Linux version; echo '{READY}'; exec sleep 60")
    assert accelerator.choose("auto", image).kind == "kvm"
    assert accelerator.choose("kvm", image).kind == "kvm"
    assert len(starts.read_text().split()) == 1


def test_a_trial_that_is_called_off_ends_its_qemu(programs: Path, image: Appliance) -> None:
    def call_off(words: str) -> None:
        if starts.exists():
            raise LabError("called off")

    starts = install_qemu(programs, "exec sleep 60")
    with pytest.raises(LabError, match="called off"):
        accelerator.choose("kvm", image, on_stage=call_off)
    assert no_process_left(starts)


def test_a_libvirt_without_kvm_is_told_and_nothing_is_tried(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, f"echo '{READY}'; exec sleep 60")
    chosen = accelerator.choose("auto", image, refused=lambda: "libvirt has no KVM")
    assert (chosen.kind, chosen.reason) == ("tcg", "libvirt has no KVM, so nodes are emulated (TCG)")
    with pytest.raises(HostError, match="accel='kvm' cannot be had: libvirt has no KVM"):
        accelerator.choose("kvm", image, refused=lambda: "libvirt has no KVM")
    assert not starts.exists()


def test_a_libvirt_that_refuses_kvm_is_quoted_with_what_to_do() -> None:
    class WithoutKvm:
        def getDomainCapabilities(self, *arguments: object) -> str:  # noqa: N802 - libvirt's name
            assert arguments == ("/opt/qemu", "x86_64", "q35", "kvm")
            raise libvirt.libvirtError("KVM is not supported by '/opt/qemu' on this host")

    class WithKvm:
        def getDomainCapabilities(self, *arguments: object) -> str:  # noqa: N802 - libvirt's name
            assert arguments[-1] == "kvm"
            return "<domainCapabilities/>"

    refusal = connection.kvm_refusal(WithoutKvm(), "/opt/qemu")
    assert "KVM is not supported by '/opt/qemu'" in refusal
    assert "systemctl restart libvirtd" in refusal or "log in anew" in refusal
    assert connection.kvm_refusal(WithKvm()) == ""


@pytest.mark.parametrize(("bits", "limit", "why"), [(40, "512G", "40 physical"), (46, "4T", "memory slot")])
def test_the_largest_fam_under_kvm_is_what_it_addresses_and_one_slot_holds(
    bits: int, limit: str, why: str
) -> None:
    chosen = Accelerator("kvm", "", bits)
    assert format_size(chosen.fam_limit) == limit
    chosen.check_addressable(chosen.fam_limit)
    with pytest.raises(SpecError, match=f"{why}.*{limit}"):
        chosen.check_addressable(2 * chosen.fam_limit)


@pytest.mark.parametrize("spoilt", ["", "[]", "{}", '"x"', '{"trials": []}', '{"trials": {"KEY": [1]}}'])
def test_a_spoilt_memory_is_no_answer(programs: Path, image: Appliance, tmp_path: Path, spoilt: str) -> None:
    starts = install_qemu(programs, "exit 1")
    accelerator.choose("auto", image)
    memory = tmp_path / "cache/kvm-trial.json"
    (key,) = json.loads(memory.read_text())["trials"]
    memory.write_text(spoilt.replace("KEY", key))
    accelerator.choose("auto", image)
    assert len(starts.read_text().split()) == 2


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    programs: Path, image: Appliance, tmp_path: Path
) -> None:
    install_qemu(programs, "exit 1")
    (tmp_path / "cache/kvm-trial.json").mkdir(parents=True)
    assert accelerator.choose("auto", image).kind == "tcg"


def test_kvm_that_is_wanted_and_does_not_work_is_an_error(programs: Path, image: Appliance) -> None:
    install_qemu(programs, "echo oh no >&2; exit 1")
    with pytest.raises(HostError, match=r"accel='kvm' cannot be had: .*oh no.*accel='auto'.*chown root:kvm"):
        accelerator.choose("kvm", image)


def test_a_host_without_kvm_needs_no_trial(programs: Path, image: Appliance) -> None:
    starts = install_qemu(programs, "exit 1")
    accelerator.KVM.unlink()
    chosen = accelerator.choose("auto", image)
    assert chosen.kind == "tcg"
    assert "there is no" in chosen.reason
    assert not starts.exists()


def test_a_missing_qemu_is_told_with_its_package(programs: Path, image: Appliance, tmp_path: Path) -> None:
    os.environ["PATH"] = str(tmp_path)  # put back by the fixture
    with pytest.raises(HostError, match="apt-get install qemu-system-x86"):
        accelerator.choose("auto", image)


def test_tcg_needs_no_trial(programs: Path, image: Appliance) -> None:
    assert accelerator.choose("tcg", image) == Accelerator("tcg", "TCG was asked for", 40)


def test_what_runs_is_taken_at_its_word() -> None:
    assert accelerator.choose("kvm").kind == "kvm"
    with pytest.raises(ValueError, match="guest image"):
        accelerator.choose("auto")


def test_tcg_addresses_512_gib_of_fam() -> None:
    assert accelerator.choose("tcg").fam_limit == 512 << 30


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_the_trial_ends_its_qemu(programs: Path, number: signal.Signals) -> None:
    starts = install_qemu(programs, "exec sleep 60")
    code = (
        "from pathlib import Path\n"
        "from fame_lab.guest.images.appliance import Appliance\n"
        "from fame_lab.host import accelerator as accel\n"
        f"accel.KVM = Path({str(accelerator.KVM)!r})\n"
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
    while not no_process_left(starts):  # the test's own timeout ends it
        time.sleep(0.02)
