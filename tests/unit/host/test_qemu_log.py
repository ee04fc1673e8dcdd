from pathlib import Path

import pytest
from node_records import record

from fame_lab.host.libvirt import qemu_log
from fame_lab.host.libvirt.domain import Domain

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


SIGNAL = "2026-01-01T00:00:00.0Z qemu-system-x86_64: terminating on signal 15 from pid 12 ({})\n"
ENDED = "2026-01-01 00:00:01.000+0000: shutting down, reason={}\n"


@pytest.mark.parametrize(
    ("sender", "reason", "powered_off"),
    [
        ("/usr/sbin/libvirtd", "shutdown", True),
        ("/usr/sbin/virtqemud", "shutdown", True),
        ("/usr/sbin/libvirtd", "destroyed", False),  # virsh destroy
        ("-bash", "shutdown", False),  # kill
        ("/usr/sbin/libvirtd", "crashed", False),
    ],
)
def test_a_guest_that_powered_off_is_told_from_a_qemu_that_was_ended(
    sender: str, reason: str, powered_off: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").write_text(LOG + SIGNAL.format(sender) + ENDED.format(reason))
    monkeypatch.setattr(qemu_log, "path_of", lambda _: tmp_path / "log")
    assert qemu_log.powered_off("fame-x-node01") == powered_off
    assert qemu_log.tail("fame-x-node01") == ("" if powered_off else SIGNAL.format(sender).strip())
    told = Domain(None, record(index=1)).exit_report()
    assert ("its QEMU has ended (it was powered off from within); " in told) == powered_off
    assert ("terminating on signal 15" in told) != powered_off


def test_the_end_of_a_node_is_told_with_the_way_back_in_a_shell_and_in_python() -> None:
    told = Domain(None, record(index=1)).exit_report()
    assert "restart it: `fame-lab restart demo node02`, or lab.nodes[1].restart()" in told
