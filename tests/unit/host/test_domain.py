from types import SimpleNamespace
from typing import Any

import pytest

from fame_lab.host.libvirt import domain
from fame_lab.host.libvirt.metadata import NodeRecord
from fame_lab.spec.lab_spec import LabSpec


def handle(name: str, text: str) -> Any:
    return SimpleNamespace(name=lambda: name, metadata=lambda *_: text)


def test_a_domain_of_another_version_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    ours = NodeRecord(LabSpec("ours", nodes=1), 0, "/dev/shm/x", (1, 2), True, "tcg", "asked", "digest")  # noqa: S108
    theirs = ours.to_xml().replace('"vcpus": 1', '"vcpus": 1, "colour": "blue"')
    connection: Any = SimpleNamespace(
        listAllDomains=lambda: [handle("theirs", theirs), handle("ours", ours.to_xml())]
    )
    assert [each.record for each in domain.find(connection)] == [ours]
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
