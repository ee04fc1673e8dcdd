from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.errors import LabError
from fame_lab.host.record import NodeRecord, TemplateRecord
from fame_lab.spec import LabSpec

RECORD = NodeRecord(
    spec=LabSpec("demo", nodes=3, fam_path=Path("/dev/shm/a <b> & 'c'")),  # noqa: S108
    index=2,
    fam_path="/dev/shm/a <b> & 'c'",  # noqa: S108
    fam_identity=(26, 4711),
    fam_created=False,
    accelerator="tcg",
    accelerator_reason='KVM said <no> & "no"',
    image="f" * 64,
    start="template",
    start_reason="asked for",
    run="token",
)


def test_goes_into_metadata_and_back() -> None:
    assert NodeRecord.from_xml(RECORD.to_xml()) == RECORD


def test_a_template_is_no_node() -> None:
    template = TemplateRecord(**{**vars(RECORD), "index": 0})
    assert template.node == "template"
    assert TemplateRecord.from_xml(template.to_xml()) == template
    assert not template.to_xml().startswith(RECORD.to_xml().split()[0])


def test_knows_its_node() -> None:
    assert RECORD.node == "node03"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('index="2"', 'index="3"'),
        ('index="2"', 'index="x"'),
        ('fam-inode="4711"', ""),
        ('accelerator="tcg"', 'accelerator="xen"'),
        ("nodes", "knots"),
        ("{", "["),
        ("<", ""),
    ],
)
def test_what_this_version_did_not_write_is_refused(old: str, new: str) -> None:
    with pytest.raises(LabError, match="metadata"):
        NodeRecord.from_xml(RECORD.to_xml().replace(old, new))


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(LabError):
        NodeRecord.from_xml(text)
