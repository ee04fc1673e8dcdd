from pathlib import Path

import libvirt
import pytest

from fame_lab.errors import HostError
from fame_lab.host import apparmor
from fame_lab.host.libvirt.connection import check_emulator


class Refusing:
    """libvirt, which does not start a QEMU that it was not asked for before, and does not say why."""

    def getDomainCapabilities(self, *_words: str) -> str:  # noqa: N802 - libvirt's name
        raise libvirt.libvirtError("An error occurred, but the cause is unknown")

    def getCapabilities(self) -> str:  # noqa: N802
        return "<capabilities/>"

    def getLibVersion(self) -> int:  # noqa: N802
        return 9_000_000


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A QEMU that has nothing to complain of."""
    path = tmp_path / "qemu"
    path.write_text("#!/bin/sh\ncat >/dev/null; echo '{\"return\": []}'\n")
    path.chmod(0o755)
    return path


def refused(program: Path) -> str:
    with pytest.raises(HostError) as raised:
        check_emulator(Refusing(), program)
    return str(raised.value)


def test_the_line_that_apparmor_wants_is_told_where_it_is_on(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apparmor, "is_on", lambda: True)
    assert f"""echo '"{program}" PUx,' >>/etc/apparmor.d/local/usr.sbin.libvirtd""" in refused(program)
    monkeypatch.setattr(apparmor, "is_on", lambda: False)
    assert "AppArmor" not in refused(program)


def test_what_qemu_itself_says_comes_first(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program.write_text("#!/bin/sh\necho 'Only modules from the same build can be loaded.' >&2\n")
    monkeypatch.setattr(apparmor, "is_on", lambda: True)
    message = refused(program)
    assert "Only modules from the same build" in message
    assert "AppArmor" not in message


@pytest.mark.parametrize(("text", "on"), [("Y\n", True), ("N\n", False), ("", False)])
def test_the_kernel_says_whether_it_is_on(tmp_path: Path, text: str, on: bool) -> None:
    (tmp_path / "enabled").write_text(text)
    assert apparmor.is_on(tmp_path / "enabled") is on
    assert not apparmor.is_on(tmp_path / "none")
