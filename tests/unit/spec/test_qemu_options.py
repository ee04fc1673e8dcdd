import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.errors import SpecError
from fame_lab.host import qemu as hosts
from fame_lab.spec.qemu_options import is_on, options, size

MIB = 1 << 20

#: What follows the path: how big, and whether it is shared.
TAKEN = {
    "size=1M,share": (MIB, True),
    "size=1M,noshare": (MIB, False),
    "size=1M,share=yes": (MIB, True),
    "share=y,size=1M": (MIB, True),
    "size=1M,share=true": (MIB, True),
    "size=1M,share=no": (MIB, False),
    "size=1M": (MIB, False),
    "size=0x100000,share=on": (MIB, True),
    "size=0X100000,share=on": (MIB, True),
    "size=1.5M,share=on": (3 * MIB // 2, True),
    "size=0.5M,share=on": (MIB // 2, True),
    "size=4.k,share=on": (4096, True),
    "size=1024k,share=on": (MIB, True),
    "size=1048576b,share=on": (MIB, True),
    "size=1048576B,share=on": (MIB, True),
    "size= 1M,share=on": (MIB, True),
    "size=+1M,share=on": (MIB, True),
    "size=1M,share=on,share=off": (MIB, False),
    "size=2M,size=1M,share=on": (MIB, True),
}
REFUSED = [
    "size=1MiB,share=on",
    "size=1e6,share=on",
    "size=1.5,share=on",
    "size=-1M,share=on",
    "size,share=on",
    "size=1M,share=ON",
    "size=1M,share=1",
    "size=1M ,share=on",
]


def read(text: str) -> tuple[int, bool]:
    fields = options(text, "qom-type")
    return size(fields["size"], "size"), is_on(fields.get("share", "off"), "share")


def qemu(directory: Path, *objects: str) -> list[Any]:
    """Ask QEMU for the size and the share of objects fam0, fam1 and so on; nothing where it refuses."""
    requests = [
        {"execute": "qom-get", "arguments": {"path": f"/objects/fam{number}", "property": name}}
        for number in range(len(objects))
        for name in ("size", "share", "mem-path")
    ]
    words = [word for each in objects for word in ("-object", each)]
    done = subprocess.run(
        [
            "qemu-system-x86_64",
            "-machine",
            "none",
            "-nodefaults",
            "-display",
            "none",
            "-qmp",
            "stdio",
            *words,
        ],
        input="\n".join(map(json.dumps, [{"execute": "qmp_capabilities"}, *requests, {"execute": "quit"}])),
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    values = [answer["return"] for answer in answers if "return" in answer][1 : 1 + len(requests)]
    return [tuple(values[at : at + 3]) for at in range(0, len(values), 3)]


def test_what_qemu_takes_is_read_as_qemu_reads_it(tmp_path: Path) -> None:
    objects = [
        f"memory-backend-file,id=fam{number},mem-path={tmp_path}/{number},,x,{words}"
        for number, words in enumerate(TAKEN)
    ]
    assert [read(each) for each in objects] == list(TAKEN.values())
    expected = [(*values, f"{tmp_path}/{number},x") for number, values in enumerate(TAKEN.values())]
    assert qemu(tmp_path, *objects) == expected
    assert [options(each, "qom-type")["mem-path"] for each in objects] == [path for _, _, path in expected]


@pytest.mark.parametrize("words", REFUSED)
def test_what_qemu_refuses_is_refused(tmp_path: Path, words: str) -> None:
    text = f"memory-backend-file,id=fam0,mem-path={tmp_path}/fam,{words}"
    assert qemu(tmp_path, text) == []
    with pytest.raises(SpecError, match="QEMU takes"):
        read(text)


def test_a_size_without_digits_before_the_point_is_read_as_by_newer_qemus(tmp_path: Path) -> None:
    text = f"memory-backend-file,id=fam0,mem-path={tmp_path}/fam,size=.5M,share=on"
    assert read(text) == (MIB // 2, True)
    takes = hosts.read(hosts.of_host()).version >= 8_001_000
    assert qemu(tmp_path, text) == ([(MIB // 2, True, f"{tmp_path}/fam")] if takes else [])


@pytest.mark.parametrize("text", ["size=.M,share=on", "size=.,share=on"])
def test_a_point_alone_is_no_size(text: str) -> None:
    with pytest.raises(SpecError, match="QEMU takes"):
        read(f"memory-backend-file,{text}")


@pytest.mark.parametrize(
    "text",
    [
        '{"qom-type":"memory-backend-file","id":"fam0","mem-path":"fam","size":1048576,"share":true}',
        "{'qom-type':'memory-backend-file','id':'fam0','mem-path':'fam','size':1048576,'share':true}",
        "qom-type=memory-backend-file,id=fam0,mem-path=fam,size=1M,share=on",
        "id=fam0,qom-type=memory-backend-file,mem-path=fam,size=1M,share=on,id=other",
    ],
)
def test_every_form_of_an_object_is_read_as_qemu_reads_it(tmp_path: Path, text: str) -> None:
    assert qemu(tmp_path, text) == [(MIB, True, "fam")]
    assert read(text) == (MIB, True)
    assert options(text, "qom-type")["id"] == "fam0"


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":2}', '{"a":0x10}', '{"a":NaN}', "{", "{" * 10_000, '{"a":"b}', "{'a':b}", '{"a":1} x'],
)
def test_what_is_no_json_to_qemu_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="as JSON"):
        options(text, "driver")


@given(st.text(max_size=60))
def test_whatever_the_text_there_are_options_or_a_short_error(text: str) -> None:
    try:
        fields = options(text, "driver")
    except SpecError as error:
        assert len(str(error)) < 500
        return
    for value in fields.values():
        for look in (size, is_on):
            try:
                look(value, "it")
            except SpecError as error:
                assert len(str(error)) < 300


WORDS = st.text(st.characters(exclude_characters="=\0", codec="utf-8"), min_size=1, max_size=8)


@given(
    st.dictionaries(WORDS.filter(lambda key: "," not in key and not key.startswith("{")), WORDS, min_size=1)
)
def test_what_is_written_as_qemu_wants_it_is_read_back(pairs: dict[str, str]) -> None:
    text = ",".join(f"{key}={value.replace(',', ',,')}" for key, value in pairs.items())
    assert options(text, "driver") == pairs


@given(st.integers(0, (1 << 63) - 1), st.sampled_from(["", "B", "k", "M", "G", "T", "P", "E"]))
def test_a_size_is_its_number_times_its_unit(number: int, unit: str) -> None:
    factor = 1 << 10 * "BkMGTPE".index(unit or "B")
    if number * factor >= 1 << 63:
        with pytest.raises(SpecError):
            size(f"{number}{unit}", "size")
    else:
        assert size(f"{number}{unit}", "size") == number * factor
        assert size(hex(number), "size") == number
