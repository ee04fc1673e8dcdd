import re
from pathlib import Path
from typing import Any

import pytest

from fame_lab.errors import HostError
from fame_lab.guest.images.appliance import Appliance
from fame_lab.host import qemu, trace_plugin
from fame_lab.host.doctor import qemu_trial
from fame_lab.host.doctor.diagnosis import Ability, QemuCheck
from fame_lab.host.doctor.qemu_trial import CHECKER, COUNTS, ORDER, RESTORES, STARTS

#: A QEMU that says what it is, and comes to what is given in its place when it is started as a node.
SCRIPT = """#!/bin/sh
case "$*" in
    -version) echo 'QEMU emulator version {version}' ;;
    *"-machine none"*) cat >/dev/null; echo '{{"return": {{"arch": "x86_64"}}}}'
        echo '{{"return": [{{"option": "plugin"}}]}}' ;;
    *) {boot} ;;
esac
"""


class Connection:
    """libvirt, which takes what it is given."""

    def __init__(self, version: int = 9_000_000) -> None:
        self.version = version

    def getLibVersion(self) -> int:  # noqa: N802 - libvirt's name
        return self.version

    def getDomainCapabilities(self, *_words: str) -> str:  # noqa: N802
        return ""


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Appliance:
    """A guest image, and a cache of its own."""
    monkeypatch.setenv("FAME_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(qemu_trial, "_BOOT_SECONDS", 1.0)
    monkeypatch.setattr(
        trace_plugin, "interface", lambda program, _user: 2 if program.version > 9_000_000 else 1
    )
    return Appliance(tmp_path / "kernel", tmp_path / "initrd", "ab" * 32, "6.1")


def look(
    tmp_path: Path, image: Appliance | None, *, version: str = "10.0.2", boot: str, **more: Any
) -> QemuCheck:
    path = tmp_path / "q"
    path.write_text(SCRIPT.format(version=version, boot=boot))
    path.chmod(0o755)
    options: dict[str, Any] = {"name": "auto", "connection": Connection()} | more
    return qemu_trial.look(path=path, image=image, user=None, **options)


def can(check: QemuCheck) -> dict[str, bool]:
    return {each.name: each.works for each in check.abilities}


READY = "echo 'fame: node01 ready'; exec sleep 60"


def test_a_qemu_that_boots_the_guest_image_can_do_all(tmp_path: Path, image: Appliance) -> None:
    check = look(tmp_path, image, boot=READY)
    assert (check.verdict, check.version, check.mend) == ("ok", "10.0.2", "")
    assert can(check) == dict.fromkeys((STARTS, COUNTS, ORDER, RESTORES, CHECKER), True)


def test_a_boot_that_worked_is_not_tried_again(tmp_path: Path, image: Appliance) -> None:
    boot = f"echo x >>{tmp_path}/boots; {READY}"
    look(tmp_path, image, boot=boot)
    assert qemu_trial._booted(qemu.read(tmp_path / "q"), image, None)[0]
    assert (tmp_path / "boots").read_text() == "x\n"


def test_an_old_one_has_no_checker_and_is_no_worse_for_labs(tmp_path: Path, image: Appliance) -> None:
    check = look(tmp_path, image, version="7.2.22", boot=READY)
    assert check.verdict == "ok"
    assert [name for name, works in can(check).items() if not works] == [CHECKER]
    assert "QEMU 9.0 on, and it has interface 1" in check.abilities[-1].reason
    assert "fame-lab qemu get" in check.mend


@pytest.mark.parametrize(
    ("boot", "reason"),
    [
        ("exec sleep 60", "not up in . s, and printed nothing"),
        ("echo Linux; exec sleep 60", "not up in . s, and printed 'Linux'"),
        ("echo no such CPU >&2; exit 1", "it ended while .* 'no such CPU'"),
    ],
)
def test_one_that_boots_nothing_can_do_nothing_and_says_why(
    tmp_path: Path, image: Appliance, boot: str, reason: str
) -> None:
    check = look(tmp_path, image, boot=boot)
    assert check.verdict == "fail"
    assert not any(can(check).values())
    assert re.search(reason, check.abilities[0].reason)
    assert look(tmp_path, image, boot=boot, name="backports").verdict == "warn"


def test_a_plugin_that_is_not_loaded_is_told_and_labs_run(
    tmp_path: Path, image: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_words: object) -> int:
        raise HostError("it loads none")

    monkeypatch.setattr(trace_plugin, "interface", refuse)
    check = look(tmp_path, image, boot=READY)
    assert check.verdict == "warn"
    assert check.abilities[1] == Ability(COUNTS, False, "it loads none")
    assert can(check) == {STARTS: True, COUNTS: False, ORDER: False, RESTORES: True, CHECKER: False}


def test_without_a_guest_image_nothing_is_booted(tmp_path: Path, image: Appliance) -> None:
    check = look(tmp_path, None, boot="exit 1")
    assert can(check)[STARTS] and "not tried by a boot" in check.abilities[0].reason


def test_an_old_libvirt_restores_nothing(tmp_path: Path, image: Appliance) -> None:
    check = look(tmp_path, image, boot=READY, connection=Connection(8_000_000))
    assert not can(check)[RESTORES]
    assert "8.2" in check.abilities[3].reason


def test_what_is_no_qemu_is_told_by_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "q").write_text("#!/bin/sh\necho hello\n")
    (tmp_path / "q").chmod(0o755)
    check = qemu_trial.look("auto", tmp_path / "q", image=None, user=None, connection=None)
    assert (check.verdict, check.abilities) == ("fail", ())
    assert "is no QEMU" in check.found
