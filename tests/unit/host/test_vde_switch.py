import shutil
from pathlib import Path

import pytest

from fame_lab.errors import HostError
from fame_lab.host import vde_switch

pytestmark = pytest.mark.skipif(shutil.which("vde_switch") is None, reason="vde2 is not installed")


def test_a_switch_lets_its_owner_alone_in_and_is_gone_once_ended(tmp_path: Path) -> None:
    sockets = tmp_path / "switch"
    vde_switch.start(sockets)
    try:
        (process,) = vde_switch.processes(sockets)
        assert sockets.stat().st_mode & 0o777 == 0o700
        assert (sockets / "ctl").is_socket()
    finally:
        vde_switch.end(sockets)
    assert not process.is_running()


def test_another_switch_is_let_be(tmp_path: Path) -> None:
    one, other = tmp_path / "a" / "switch", tmp_path / "ab" / "switch"
    for sockets in (one, other):
        sockets.parent.mkdir()
        vde_switch.start(sockets)
    try:
        vde_switch.end(one)
        assert list(vde_switch.processes(one)) == []
        assert len(list(vde_switch.processes(other))) == 1
    finally:
        vde_switch.end(one)
        vde_switch.end(other)


def test_a_switch_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="vde_switch"):
        vde_switch.start(tmp_path / "file" / "switch")
    assert list(vde_switch.processes(tmp_path / "file" / "switch")) == []


def test_a_host_without_a_switch_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError, match="vde2"):
        vde_switch.start(Path("/nowhere/switch"))
