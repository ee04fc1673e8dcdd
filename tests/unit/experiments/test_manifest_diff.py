import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.experiments.compare.manifest_diff import Difference, differences, merged

JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
MANIFESTS = st.dictionaries(
    st.sampled_from(["host", "mapping", "spec", "parameters", "time", "packages", "", "odd"]),
    JSON,
    max_size=5,
)


@given(MANIFESTS)
def test_a_manifest_differs_in_nothing_from_itself(manifest: dict[str, Any]) -> None:
    assert differences(manifest, json.loads(json.dumps(manifest))) == []


@given(MANIFESTS, MANIFESTS)
def test_what_differs_one_way_differs_the_other_way(a: dict[str, Any], b: dict[str, Any]) -> None:
    there, back = differences(a, b), differences(b, a)
    assert {each.what for each in there} == {each.what for each in back}
    for each in there:
        assert str(each).isprintable()


def test_hosts_accelerators_and_mappings_come_first() -> None:
    a = {"odd": 1, "parameters": {"batches": 30}, "mapping": "write-back", "host": {"cpu": "A", "cores": 2}}
    b = {"odd": 2, "parameters": {"batches": 50}, "mapping": "uncached", "host": {"cpu": "B", "cores": 2}}
    a["accelerator"], b["accelerator"] = {"kind": "tcg"}, {"kind": "kvm"}
    assert [each.what for each in differences(a, b)] == [
        "host.cpu", "accelerator.kind", "mapping", "parameters.batches", "odd",
    ]  # fmt: skip


def test_what_a_lab_is_called_is_no_difference() -> None:
    a, b = ({"spec": {"name": name, "nodes": 2}} for name in ("first-12", "first-34"))
    assert differences(a, b) == []


def test_what_one_does_not_tell_differs() -> None:
    (difference,) = differences({"image": "abc"}, {})
    assert str(difference) == "image: abc | not told"


def test_times_and_clock_readings_are_no_difference() -> None:
    assert differences({"time": "today", "timer": {"clock_ns": 30}}, {"time": "tomorrow"}) == []


def test_a_tuple_is_what_it_will_be_when_saved() -> None:
    assert differences({"parameters": {"nodes": ("node01",)}}, {"parameters": {"nodes": ["node01"]}}) == []


def test_what_differs_alike_in_all_results_is_told_once_and_else_where() -> None:
    everywhere, once = Difference("mapping", "uc", "wb"), Difference("seed", 1, 2)
    rows = merged([("001-chase", [everywhere]), ("002-ring", [everywhere, once])])
    assert [each.where for each in rows] == [(), ("002-ring",)]
    assert str(rows[1]) == "seed: 1 | 2 (in 002-ring)"


@pytest.mark.parametrize("evil", ["\x1b[2J", "a\nb", "x" * 5000, ["y" * 5000]])
def test_no_manifest_steers_a_terminal_or_fills_it(evil: Any) -> None:
    (difference,) = differences({"host": evil}, {"host": ""})
    assert str(difference).isprintable()
    assert len(str(difference)) < 200


def test_a_parameter_under_its_earlier_name_is_the_same() -> None:
    a = {"probe": "ring", "parameters": {"slots": 64, "patience": 10.0}}
    assert differences(a, {"probe": "ring", "parameters": {"slots": 64, "peer_timeout": 10.0}}) == []
    (difference,) = differences(a, {"probe": "ring", "parameters": {"slots": 64, "peer_timeout": 5.0}})
    assert str(difference) == "parameters.peer_timeout: 10.0 | 5.0"
