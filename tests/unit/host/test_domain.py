from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fame_lab.host.libvirt import domain
from fame_lab.host.libvirt.metadata import NodeRecord
from fame_lab.spec.lab_spec import LabSpec


def handle(name: str, text: str) -> Any:
    return SimpleNamespace(name=lambda: name, metadata=lambda *_: text)


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
    monkeypatch.setattr(domain, "log_path", lambda _: tmp_path / "log")
    assert domain.qemu_log_tail("fame-x-node01", most) == words


def test_a_domain_of_another_version_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    ours = NodeRecord(LabSpec("ours", nodes=1), 0, "/dev/shm/x", (1, 2), True, "tcg", "asked", "digest")  # noqa: S108
    theirs = ours.to_xml().replace('"vcpus": 1', '"vcpus": 1, "colour": "blue"')
    connection: Any = SimpleNamespace(
        listAllDomains=lambda: [handle("theirs", theirs), handle("ours", ours.to_xml())]
    )
    assert [found.record for found in domain.find(connection)] == [ours]
    assert "theirs is left alone" in caplog.text


def test_a_labs_domains_are_named_whatever_version_they_are_of() -> None:
    there = [
        "fame-a-node01",
        "fame-a-node02",
        "fame-a-node1-node01",
        "fame-ab-node01",
        "fame-a-node01x",
        "other",
    ]
    connection: Any = SimpleNamespace(listAllDomains=lambda: [handle(name, "") for name in there])
    assert domain.names(connection, "a") == {"fame-a-node01", "fame-a-node02"}
    assert domain.names(connection, "a-node1") == {"fame-a-node1-node01"}
