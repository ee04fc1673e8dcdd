import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.core.sanitize import plain
from fame_lab.errors import LabError
from fame_lab.host.libvirt.metadata import NodeRecord, TemplateRecord
from fame_lab.host.qemu import Qemu
from fame_lab.spec.lab_spec import LabSpec

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
    qemu=Qemu(Path("/opt/<q>"), 10_000_002, "(Debian '1')"),
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


@given(st.text(st.characters()), st.text(st.characters()))
def test_whatever_a_console_or_an_environment_held_the_metadata_can_be_read(reason: str, run: str) -> None:
    record = dataclasses.replace(RECORD, accelerator_reason=reason, run=run)
    copy = NodeRecord.from_xml(record.to_xml())
    assert copy == dataclasses.replace(record, accelerator_reason=plain(reason, ""), run=plain(run, ""))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=4), children, max_size=3)
    ),
)
ATTRIBUTES = ["index", "fam", "fam-device", "fam-inode", "fam-created", "accelerator", "reason", "run"]


@given(st.sampled_from(ATTRIBUTES), st.text(), JSON, st.sampled_from([None, *RECORD.spec.to_dict()]))
def test_whatever_the_metadata_hold_there_is_a_record_or_a_lab_error(
    attribute: str, value: str, content: object, field: str | None
) -> None:
    element = RECORD.to_element()
    element.set(attribute, value)
    element.text = json.dumps(content if field is None else RECORD.spec.to_dict() | {field: content})
    try:
        record = NodeRecord.from_xml(plain(ElementTree.tostring(element, encoding="unicode")))
    except LabError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 1000
        return
    assert record.node in record.spec.node_names


def test_metadata_that_are_nested_without_an_end_are_refused() -> None:
    element = RECORD.to_element()
    element.text = "[" * 100_000
    with pytest.raises(LabError, match="metadata"):
        NodeRecord.from_xml(ElementTree.tostring(element, encoding="unicode"))
