"""How libvirt is reached, and what a host without a part of it is told."""

from pathlib import Path

import libvirt
import pytest

from fame_lab.errors import HostError
from fame_lab.host.doctor import isolated_check
from fame_lab.host.libvirt import connection


@pytest.fixture
def without_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse as libvirt does on Debian 13 without libvirt-daemon-driver-qemu."""

    def refuse(uri: str) -> None:
        error = libvirt.libvirtError("no connection driver available for qemu:///session")
        error.err = (libvirt.VIR_ERR_NO_CONNECT, 0, str(error), 0, "", "", "", 0, 0)
        raise error

    monkeypatch.setattr(connection, "ensure_daemons", lambda: None)
    monkeypatch.setattr(connection, "stalls_libvirt", lambda: False)
    monkeypatch.setattr(libvirt, "open", refuse)


@pytest.mark.usefixtures("without_driver")
@pytest.mark.parametrize(("uid", "daemon"), [(0, "libvirt-daemon-system"), (1000, "libvirt-daemon")])
def test_a_missing_driver_is_named_with_the_command_that_brings_it(
    uid: int, daemon: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setattr(connection, "_DRIVER_FILES", ())
    libvirtd = tmp_path / "libvirtd"
    libvirtd.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="has no driver for QEMU") as caught:
        connection.connect()
    command = f"sudo apt-get install --no-install-recommends {daemon} libvirt-daemon-driver-qemu"
    assert caught.value.mend == command
    assert command in str(caught.value)


@pytest.mark.usefixtures("without_driver")
def test_a_daemon_from_before_its_driver_is_to_be_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    driver = tmp_path / "libvirt_driver_qemu.so"
    driver.touch()
    monkeypatch.setattr(connection, "_DRIVER_FILES", (str(driver.relative_to("/")),))
    with pytest.raises(HostError, match="installed after this libvirtd had started") as caught:
        connection.connect()
    assert "libvirtd" in caught.value.mend and "apt-get" not in caught.value.mend


@pytest.mark.usefixtures("without_driver")
def test_the_doctor_shows_the_command_that_brings_a_missing_driver(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_DRIVER_FILES", ())
    isolated_check.main("libvirt")
    output = capsys.readouterr().out
    assert '"verdict": "fail"' in output
    assert "libvirt-daemon-driver-qemu" in output.partition('"mend": ')[2], output


def test_a_missing_daemon_is_named_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(connection, "program_path", lambda: str(tmp_path))
    with pytest.raises(HostError, match="libvirtd is missing") as caught:
        connection.connect()
    assert "libvirt-daemon-driver-qemu" in caught.value.mend
