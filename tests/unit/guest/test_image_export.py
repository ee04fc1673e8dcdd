from pathlib import Path

import pytest

from fame_lab.cli.main import main
from fame_lab.errors import SpecError
from fame_lab.guest.images import export

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG me@here"


def test_the_keys_of_a_file_are_let_in(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"\n{KEY}\n{KEY}\n")
    assert export.authorized_keys(path) == f"{KEY}\n{KEY}\n"


def test_ones_own_key_is_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SpecError, match="ssh-keygen"):
        export.authorized_keys(None)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_rsa.pub").write_text(KEY)
    assert export.authorized_keys(None) == f"{KEY}\n"


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN OPENSSH PRIVATE KEY-----\n", b"\xff\xfe", f"x\n{KEY}".encode()]
)
def test_what_is_no_public_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=r"key"):
        export.authorized_keys(path)


def test_a_directory_that_is_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key").write_text(KEY)
    words = ["image", "export", "--output", str(tmp_path), "--authorized-key", str(tmp_path / "key")]
    assert main(words) == 1
    assert "is there" in capsys.readouterr().err
