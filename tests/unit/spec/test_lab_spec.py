import contextlib
import dataclasses
import json
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_values import ODD

from fame_lab.errors import FameError, SpecError
from fame_lab.spec.lab_spec import LabSpec


def refusal(**fields: Any) -> str:
    with pytest.raises(SpecError) as refused:
        LabSpec(**({"name": "demo"} | fields))
    return str(refused.value)


def test_keeps_sizes_in_bytes() -> None:
    spec = LabSpec("demo", fam="256M", memory="128M")
    assert (spec.fam, spec.memory, spec.book) == (256 << 20, 128 << 20, 8 << 20)


def test_is_frozen_and_hashable() -> None:
    spec = LabSpec("demo")
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.nodes = 3  # type: ignore[misc]
    assert hash(spec) == hash(LabSpec("demo"))


def test_a_spec_error_is_a_value_error_and_a_fame_error() -> None:
    assert issubclass(SpecError, ValueError)
    assert issubclass(SpecError, FameError)


@pytest.mark.parametrize("name", ["a", "demo", "Lab-1_x", "x" * 32])
def test_takes_plain_names(name: str) -> None:
    assert LabSpec(name).name == name


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "a b", "a/b", "../x", "é", "x" * 33, "a\n", None, 3, "a,b", "<b>"]
)
def test_refuses_odd_names(name: object) -> None:
    assert repr(name) in refusal(name=name)


@pytest.mark.parametrize("nodes", [0, 41, -1, True, 2.0, "2", None])
def test_refuses_a_number_of_nodes_outside_1_to_40(nodes: object) -> None:
    message = refusal(nodes=nodes)
    assert repr(nodes) in message
    assert "1 to 40" in message


@pytest.mark.parametrize("fam", [0, -1, -(1 << 20), "512K", 1 << 19])
def test_refuses_less_than_a_mebibyte_of_fam(fam: object) -> None:
    assert "1M" in refusal(fam=fam)


def test_names_the_nearest_sizes_that_work() -> None:
    message = refusal(fam="384M")
    assert "256M" in message
    assert "512M" in message


def test_refuses_more_fam_than_tcg_can_address() -> None:
    assert "512G" in refusal(fam="1T", accel="tcg")
    assert LabSpec("demo", fam="512G", accel="tcg").fam_size == 512 << 30


@pytest.mark.parametrize("accel", ["auto", "kvm"])
def test_refuses_more_fam_than_a_memory_slot_of_kvm_holds(accel: str) -> None:
    assert "4T" in refusal(fam="8T", accel=accel)
    assert LabSpec("demo", fam="4T", accel="kvm").fam_size == 4 << 40


@pytest.mark.parametrize("memory", ["64M", 0, "80M", "128T", (128 << 20) + 1])
def test_refuses_memory_that_no_node_boots_with(memory: object) -> None:
    assert "96M" in refusal(memory=memory)


def test_fewer_books_than_nodes_names_a_book_that_fits() -> None:
    message = refusal(fam="16M", nodes=4, book="8M")
    assert "4M fits" in message
    assert LabSpec("demo", fam="16M", nodes=4, book="4M").books.count == 4


@pytest.mark.parametrize("book", ["3M", "2K", 0, -4096])
def test_refuses_a_book_that_is_no_power_of_two_from_4k(book: object) -> None:
    assert "power of two" in refusal(book=book)


@pytest.mark.parametrize("field", ["accel", "image", "network", "start", "layout"])
def test_a_wrong_choice_is_quoted_beside_the_right_ones(field: str) -> None:
    message = refusal(**{field: "bogus"})
    assert "'bogus'" in message
    assert " takes " in message


def test_refuses_a_trace_where_no_access_can_be_counted() -> None:
    assert "accel='tcg'" in refusal(trace=True, accel="kvm")
    assert "trace" in refusal(trace="yes")
    assert LabSpec("demo", trace=True).trace


@pytest.mark.parametrize("path", ["", "a,b", "a\nb", "a\0b", 3])
def test_refuses_a_path_that_qemu_cannot_be_given(path: object) -> None:
    assert "fam_path" in refusal(fam_path=path)


def test_a_path_is_made_absolute() -> None:
    spec = LabSpec("demo", fam_path="some/fam")  # type: ignore[arg-type]
    assert spec.fam_path == Path.cwd() / "some/fam"


def test_goes_to_json_and_back() -> None:
    spec = LabSpec("demo", nodes=3, fam="1G", layout="interleaved", fam_path=Path("/dev/shm/x"))  # noqa: S108
    assert LabSpec.from_dict(json.loads(spec.to_json())) == spec


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(SpecError, match="'colour'"):
        LabSpec.from_dict({"name": "demo", "colour": "red"})


def odd(number: int) -> object:
    return ODD[number]


LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.complex_numbers()),
    st.integers(0, len(ODD) - 1).map(odd),  # hypothesis would write the things themselves down
)
ANYTHING = st.recursive(
    LEAVES,
    lambda children: (
        st.lists(children, max_size=2) | st.dictionaries(st.text(max_size=3), children, max_size=2)
    ),
)
FIELDS = [field.name for field in dataclasses.fields(LabSpec)]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*FIELDS, "x"]), ANYTHING, max_size=3))
def test_whatever_the_fields_are_there_is_a_spec_or_a_spec_error(values: dict[str, Any]) -> None:
    try:
        spec = LabSpec.from_dict({"name": "demo"} | values)
    except SpecError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 1000
        return
    assert LabSpec.from_dict(json.loads(spec.to_json())) == spec
    assert all(value is None or type(value) in (str, int, bool) for value in spec.to_dict().values())


@pytest.mark.parametrize("number", range(len(ODD)))
@pytest.mark.parametrize("field", [*FIELDS, "x"])
def test_an_odd_value_of_a_field_is_taken_or_refused_in_short(field: str, number: int) -> None:
    try:
        spec = LabSpec.from_dict({"name": "demo"} | {field: odd(number)})
    except SpecError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 500
        assert error.field == (None if field == "x" else field)
        return
    assert LabSpec.from_dict(json.loads(spec.to_json())) == spec


@pytest.mark.parametrize("kind", [np.int64, np.uint64, np.int32, np.array])
def test_numbers_of_numpys_are_taken_and_kept_as_pythons_own(kind: Any) -> None:
    spec = LabSpec(
        "x", nodes=kind(2), fam=kind(1 << 28), vcpus=kind(2), memory=kind(128 << 20), book=kind(1 << 20)
    )
    assert spec == LabSpec("x", nodes=2, fam=1 << 28, vcpus=2, memory=128 << 20, book=1 << 20)
    assert {type(getattr(spec, field)) for field in ("nodes", "fam", "vcpus", "memory", "book")} == {int}
    assert LabSpec.from_dict(json.loads(spec.to_json())) == LabSpec.from_toml(spec.to_toml()) == spec


def test_words_and_paths_of_any_type_are_kept_as_pythons_own(tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "name": np.str_("x"),
        "accel": np.str_("tcg"),
        "trace": np.bool_(True),
        "fam_path": PurePosixPath(tmp_path),
        "fam": np.str_("64M"),
    }
    spec = LabSpec(**fields)
    assert spec == LabSpec("x", accel="tcg", trace=True, fam_path=tmp_path, fam="64M")
    assert (type(spec.name), type(spec.accel), type(spec.trace)) == (str, str, bool)


@given(ANYTHING)
def test_whatever_is_read_as_a_spec_it_is_one_or_a_spec_error(values: Any) -> None:
    with contextlib.suppress(SpecError):
        LabSpec.from_dict(values)


def test_a_home_of_nobody_in_fam_path_is_refused() -> None:
    with pytest.raises(SpecError, match=r"fam_path is '~nobody-here/x'") as refused:
        LabSpec("demo", fam_path=Path("~nobody-here/x"))
    assert refused.value.field == "fam_path"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "a b"),
        ("nodes", 0),
        ("fam", "3M"),
        ("trace", "yes"),
        ("memory", 1),
        ("book", 3),
        ("vcpus", 99),
    ],
)
def test_an_error_says_which_field_it_is_about(field: str, value: object) -> None:
    with pytest.raises(SpecError) as refused:
        LabSpec(**({"name": "demo"} | {field: value}))  # type: ignore[arg-type]
    assert refused.value.field == field


def test_what_nodes_boot_is_a_name_or_a_path() -> None:
    for image in ("appliance", "debian", "debian-gcc", "/x/y.qcow2"):
        assert LabSpec("x", image=image).image == image
    assert LabSpec("x", image="./y.qcow2").image == str(Path.cwd() / "y.qcow2")
    assert LabSpec("x", image=Path("y.qcow2")).image == str(Path.cwd() / "y.qcow2")


@pytest.mark.parametrize("image", ["", "ubuntu", "debian-", "debian-X", "a,/b", "/a\n", None, 3])
def test_an_image_that_cannot_be_one_is_refused(image: object) -> None:
    with pytest.raises(SpecError) as caught:
        LabSpec("x", image=image)  # type: ignore[arg-type]
    assert caught.value.field == "image"


def test_a_qemu_is_the_hosts_or_a_path() -> None:
    assert LabSpec("a").qemu == "auto"
    assert LabSpec("a", qemu="./q/qemu").qemu == str(Path("q/qemu").absolute())
    assert LabSpec("a", qemu=Path("qemu")).qemu == str(Path("qemu").absolute())


@pytest.mark.parametrize("value", ["", "newest", "qemu-system-x86_64", 7, None, True, "/a\nb", ["/q"]])
def test_a_qemu_that_cannot_be_one_is_refused(value: object) -> None:
    with pytest.raises(SpecError, match="qemu is") as refused:
        LabSpec("a", qemu=value)  # type: ignore[arg-type]
    assert refused.value.field == "qemu"


def test_nodes_have_the_memory_that_their_image_needs() -> None:
    assert LabSpec("x").memory == 128 << 20
    assert LabSpec("x", image="debian").memory == 256 << 20
    assert LabSpec("x", image="debian", memory="128M").memory == 128 << 20


def test_too_little_memory_for_an_image_is_refused_with_what_works() -> None:
    with pytest.raises(SpecError, match="from 128M"):
        LabSpec("x", image="debian", memory="96M")
