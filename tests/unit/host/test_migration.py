"""How a template's state comes out of one QEMU and into another, by the QEMU's version."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fame_lab.errors import BootError, HostError
from fame_lab.host.libvirt import migration
from fame_lab.host.libvirt.domain import Domain
from fame_lab.host.libvirt.metadata import NodeRecord
from fame_lab.host.qemu import Qemu
from fame_lab.spec.lab_spec import LabSpec

RECORD = NodeRecord(LabSpec("x", nodes=1), 0, "/dev/shm/x", (1, 2), True, "tcg", "asked", "digest")  # noqa: S108


class NotingDomain(Domain):
    """A domain whose QEMU notes what it is asked, and answers as one that has done it."""

    requests: list[tuple[str, dict[str, object], int]]

    def _ask(self, command: str, arguments: dict[str, object], *files: int) -> Any:
        self.__dict__.setdefault("requests", []).append((command, arguments, len(files)))
        return {
            "add-fd": {"fdset-id": 7, "fd": 20},
            "query-migrate": {"status": "completed"},
            "query-status": {"status": "paused"},
        }.get(command, {})

    def uris(self) -> list[object]:
        return [arguments["uri"] for _, arguments, _ in self.requests if "uri" in arguments]


def domain(version: int | None) -> NotingDomain:
    qemu = None if version is None else Qemu(Path("/q"), version)
    return NotingDomain(None, replace(RECORD, qemu=qemu))


@pytest.mark.parametrize(
    ("version", "command", "uri"),
    [
        (None, "getfd", "fd:state"),
        (7_002_022, "getfd", "fd:state"),
        (8_002_002, "getfd", "fd:state"),
        (9_000_000, "add-fd", "file:/dev/fdset/7"),
        (10_000_002, "add-fd", "file:/dev/fdset/7"),
        (11_001_003, "add-fd", "file:/dev/fdset/7"),
    ],
)
def test_the_state_goes_by_what_this_qemu_takes(
    version: int | None, command: str, uri: str, tmp_path: Path
) -> None:
    template, node = domain(version), domain(version)
    migration.save(template, tmp_path / "state")
    migration.restore(node, tmp_path / "state")
    for each in (template, node):
        assert [name for name, _, files in each.requests if files] == [command]
        assert each.uris() == [uri]


def test_a_restored_node_has_no_file_of_the_template_open(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    node = domain(11_001_003)
    migration.restore(node, tmp_path / "state")
    assert node.requests[-1] == ("remove-fd", {"fdset-id": 7}, 0)


def test_what_qemu_refuses_is_the_templates_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise HostError("fd: migration to a file is not supported")

    monkeypatch.setattr(NotingDomain, "_ask", refuse)
    with pytest.raises(BootError, match="not supported"):
        migration.save(domain(11_001_003), tmp_path / "state")
