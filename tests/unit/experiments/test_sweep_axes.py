from typing import Any

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.cli.sweep import sweep
from fame_lab.errors import SpecError
from fame_lab.experiments.sweep.axes import Axis, check_parameters, parse_axes


def only(probe: str, name: str, values: Any) -> Axis:
    (axis,) = parse_axes(probe, {name: values})
    return axis


def test_a_name_that_lab_and_probe_have_is_the_labs() -> None:
    assert only("pingpong", "nodes", [2, 4]).of == "lab"


def test_the_singular_names_one_value_of_several() -> None:
    axis = only("chase", "stride", [64, "4K"])
    assert (axis.name, axis.of, axis.target, axis.values) == ("stride", "probe", "strides", (64, 4096))
    with pytest.raises(SpecError, match="give single values, or name it 'strides'"):
        only("chase", "stride", [[64, 128]])


def test_sizes_are_bytes_and_names_stay() -> None:
    assert only("chase", "fam", ["1M", 1 << 21]).values == (1 << 20, 1 << 21)
    assert only("chase", "working_set", ["4K", "1 MiB"]).values == (4096, 1 << 20)
    assert only("chase", "node", ["node01", 1]).values == ("node01", 1)


def test_numpys_numbers_and_ranges_are_values() -> None:
    assert only("chase", "nodes", np.array([1, 2])).values == (1, 2)
    assert only("chase", "nodes", range(1, 3)).values == (1, 2)
    assert only("chase", "nodes", 2).values == (2,)


def test_labels_are_of_one_kind() -> None:
    assert only("chase", "batch_ms", [1, 2.5]).labels == [1.0, 2.5]
    assert only("chase", "node", ["node01", 1]).labels == ["node01", "1"]
    assert only("chase", "working_sets", [["4K", "16K"], ["64K"]]).labels == ["4096,16384", "65536"]


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({}, "give a dict"),
        ({"colour": ["red"]}, "'colour', which is no field of a lab .*nodes.* and no parameter"),
        ({"name": ["a", "b"]}, "'name', which is no field"),
        ({"batches": ["many"]}, "batches is 'many': the probe takes int"),
        ({"batches": [30, 29]}, "batches is 29: give a whole number from 30 to 1000"),
        ({"mapping": ["uc", "wt"]}, "mapping is 'wt': give one of uc, wc, wb"),
        ({"nodes": [[0, 1]]}, "nodes .0, 1.: 'nodes' is the lab's"),
        ({"nodes": []}, "1 to 10000 values, and has none"),
        ({"nodes": iter(range(10**9))}, "1 to 10000 values, and has more"),
        ({"stride": [64, 64]}, "stride 64 twice"),
        ({"batch_ms": [1, 1.0]}, "batch_ms 1.0 twice"),
        ({"stride": [64], "strides": [128]}, "'strides' twice"),
        ({"fam": ["huge"]}, "fam is 'huge'"),
        ({"stride": {64, 128}}, "strides? is"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused_with_what_there_is(over: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        parse_axes("chase", over)


def test_there_is_no_probe_of_another_name() -> None:
    with pytest.raises(SpecError, match=r"there is no probe 'chaos'; there are .*chase"):
        parse_axes("chaos", {"nodes": [1]})


def test_parameters_of_all_points_are_checked_too() -> None:
    axes = parse_axes("chase", {"stride": [64]})
    assert check_parameters("chase", {"working_sets": ["4K"], "batches": 30.0}, axes) == {
        "working_sets": [4096], "batches": 30,
    }  # fmt: skip
    for parameters, words in (
        ({"strides": [64]}, "'strides' is in over"),
        ({"fam": "1M"}, "a field of the lab: give it in spec"),
        ({"colour": 1}, "has no parameter 'colour'; it has node, memories"),
        ({"mapping": 3}, "mapping is 3: the probe takes str"),
    ):
        with pytest.raises(SpecError, match=words):
            check_parameters("chase", parameters, axes)


@given(st.sampled_from(["nodes", "stride", "fam", "order", "batches", "x"]), st.text())
def test_whatever_is_typed_is_an_axis_or_an_error_of_the_kits_own(name: str, text: str) -> None:
    try:
        words = sweep.make_context("sweep", ["chase", f"--over={name}={text}", "--output=x"])
    except click.UsageError as error:
        assert error.exit_code == 2
        return
    ((_, values),) = words.params["over"]
    try:
        axis = only("chase", name, values)
    except SpecError:
        return
    assert len(axis.labels) == len(axis.values) == len(set(axis.labels))


@given(st.lists(st.integers(1, 40), min_size=1, unique=True))
def test_numbers_parted_by_commas_read_as_themselves(numbers: list[int]) -> None:
    words = ["chase", f"--over=nodes={','.join(map(str, numbers))}", "--output=x"]
    axes = dict(sweep.make_context("sweep", words).params["over"])
    assert only("chase", "nodes", axes["nodes"]).values == tuple(numbers)
