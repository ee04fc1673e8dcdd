from pathlib import Path

import pytest

from fame_lab.host.libvirt import qemu_log

LOG = """\
2026-01-01 00:00:00.000+0000: starting up libvirt version: 9.0.0
LC_ALL=C \\
/usr/bin/qemu-system-x86_64 \\
-name guest=fame-x-node01,debug-threads=on \\
-object '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/libvirt/key.aes"}' \\
-msg timestamp=on
char device redirected to /dev/pts/1 (label charserial0)
"""


@pytest.mark.parametrize(
    ("added", "most", "words"),
    [
        ("", 2000, ""),
        # A log that is long is read from the middle of a line on.
        ("", 150, ""),
        ("qemu-system-x86_64: no room\n2026-01-01 shutting down\n", 2000, "qemu-system-x86_64: no room"),
        ("Bus error\n", 2000, "Bus error"),
        # A guest that has broken out writes there what it likes.
        ("qemu: \x1b[2J\x07\n", 2000, r"qemu: \x1b[2J\x07"),
    ],
)
def test_last_words_are_what_qemu_said_and_not_its_command_line(
    added: str, most: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").write_text(LOG + added)
    monkeypatch.setattr(qemu_log, "path_of", lambda _: tmp_path / "log")
    assert qemu_log.tail("fame-x-node01", most) == words
