import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.errors import ProbeError
from fame_lab.probes.common.program_output import MAX_LINE, MAX_LINES, MAX_LIST, OutputRecord, parse_output

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
)
OBJECTS = st.dictionaries(st.text(max_size=20), SCALARS | st.lists(SCALARS, max_size=10), max_size=8)


@given(st.lists(OBJECTS, max_size=5))
def test_what_a_sound_probe_writes_comes_back(objects: list[dict[str, Any]]) -> None:
    output = "".join(json.dumps(line) + "\n" for line in objects)
    assert parse_output(output, "node01") == objects


@given(st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "replace")))
def test_whatever_a_guest_writes_ends_in_plain_values_or_a_probe_error(output: str) -> None:
    check_ends_well(output)


JSON = st.recursive(
    SCALARS | st.sampled_from([math.nan, math.inf, 1 << 64, 10**400]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)


@given(st.lists(JSON, max_size=3))
def test_whatever_json_a_guest_writes_ends_in_plain_values_or_a_probe_error(values: list[Any]) -> None:
    check_ends_well("".join(json.dumps(value) + "\n" for value in values))


def check_ends_well(output: str) -> None:
    try:
        lines = parse_output(output, "node01")
    except ProbeError as error:
        assert str(error).startswith("node01: the probe wrote ")
        assert len(str(error)) < 1000
        return
    for line in lines:
        for value in line.values():
            for item in value if isinstance(value, list) else [value]:
                assert item is None or isinstance(item, (str, int, float))
                assert not isinstance(item, float) or math.isfinite(item)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "chase: 4 ns",
        "[1, 2]",
        "3",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": 18446744073709551616}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a": {"b": 1}}',
        '{"a": [[1]]}',
        '{"a": 1, "a": 2}',
        '{"a": "\\ud800"}',
        '{"\\udfff": 1}',
        '{"a": "' + "x" * 300 + '"}',
        '{"a": [' + ", ".join(["1"] * (MAX_LIST + 1)) + "]}",
        '{"' + "k" * 300 + '": 1}',
        '{"a": "' + "x" * MAX_LINE + '"}',
        "[" * 60000,
        '{"a": 1',
        '{"a": 1} {"b": 2}',
    ],
)
def test_a_line_that_is_not_a_probes_is_refused_by_name(line: str) -> None:
    with pytest.raises(ProbeError, match="node02: the probe wrote ") as caught:
        parse_output('{"probe": "add"}\n' + line + "\n", "node02")
    assert len(str(caught.value)) < 500


def test_more_lines_than_a_probe_writes_are_refused() -> None:
    with pytest.raises(ProbeError, match="1001 lines"):
        parse_output("{}\n" * (MAX_LINES + 1), "node01")


def test_no_output_is_no_lines() -> None:
    assert parse_output("", "node01") == []


FIELDS = OutputRecord(
    {"count": 3, "share": 0.5, "on": True, "list": [1, 2], "name": "fam", "mapping": "write-back"}, "node01"
)


def test_fields_give_what_is_asked_for() -> None:
    assert FIELDS.integer("count", 0, 3) == 3
    assert FIELDS.number("share", 0, 1) == 0.5
    assert FIELDS.number("count", 0, 3) == 3.0
    assert FIELDS.integers("list", 2, 1, 2) == [1, 2]
    assert FIELDS.choice("name", ["dram", "fam"]) == "fam"
    assert FIELDS.mapping() == "write-back"
    assert OutputRecord({"mapping": None}, "node01").mapping() == "unknown"


@pytest.mark.parametrize(
    "ask",
    [
        lambda: FIELDS.integer("missing", 0, 1),
        lambda: FIELDS.integer("count", 0, 2),
        lambda: FIELDS.integer("count", 4, 9),
        lambda: FIELDS.integer("share", 0, 1),
        lambda: FIELDS.integer("on", 0, 1),
        lambda: FIELDS.number("on", 0, 1),
        lambda: FIELDS.number("share", 0.6, 1),
        lambda: FIELDS.number("name", 0, 1),
        lambda: FIELDS.integers("list", 3, 0, 9),
        lambda: FIELDS.integers("list", 2, 0, 1),
        lambda: FIELDS.integers("count", 1, 0, 9),
        lambda: FIELDS.choice("name", ["dram"]),
        lambda: FIELDS.choice("list", ["dram"]),
        lambda: OutputRecord({"mapping": "<b>"}, "node01").mapping(),
        lambda: OutputRecord({"mapping": 3}, "node01").mapping(),
    ],
)
def test_fields_that_are_something_else_are_refused_by_name(ask: Any) -> None:
    with pytest.raises(ProbeError, match="node01: the probe "):
        ask()
