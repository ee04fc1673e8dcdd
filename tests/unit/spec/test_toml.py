from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from specs import specs

from fame_lab.errors import SpecError
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.spec.toml import from_toml, read, to_toml


@given(specs())
def test_goes_to_toml_and_back(spec: LabSpec) -> None:
    assert from_toml(to_toml(spec)) == spec


def test_sizes_are_written_as_people_write_them() -> None:
    assert 'fam = "256M"\n' in to_toml(LabSpec("demo", fam=256 << 20))


def test_what_is_not_given_has_its_default() -> None:
    assert from_toml('name = "demo"\nfam = "1G"') == LabSpec("demo", fam="1G")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nodes = 2", "name"),
        ('name = "demo"\ncolour = "red"', "'colour'"),
        ('name = "demo"\nnodes = "two"', "'two'"),
        ('name = "demo"\nnodes = 1979-05-27', "nodes"),
        ('name = "demo"\nfam = inf', "inf"),
        ('name = "demo"\nfam = ["1G"]', "1G"),
        ('name = "demo"\n[fam]\nsize = 1', "size"),
        ('name = "demo"\nfam = 0x' + "f" * 5000, "TOML|no file has more"),
        ('name = "demo"\nfam = ' + "9" * 5000, "TOML|no file has more"),
        ("name = " + "[" * 100_000, "TOML"),
        ("name = 'demo", "TOML"),
        ('name = "a\\u0000b"', "name"),
    ],
)
def test_what_is_no_spec_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(SpecError, match=named):
        from_toml(text)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(SpecError):
        from_toml(text)


@given(
    st.dictionaries(
        st.sampled_from(sorted(LabSpec("x").to_dict())),
        st.sampled_from(
            [
                "1",
                "-1",
                "1e400",
                "nan",
                "true",
                '"x"',
                '""',
                "[]",
                "{}",
                "[[]]",
                "07:32:00",
                "0x7f",
                '"\\U0001F600"',
            ]
        ),
    )
)
def test_any_values_are_read_or_refused(values: dict[str, str]) -> None:
    try:
        spec = from_toml("\n".join(f"{field} = {value}" for field, value in values.items()))
    except SpecError:
        return
    assert from_toml(to_toml(spec)) == spec


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"missing\.toml"):
        read(tmp_path / "missing.toml")
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'name = "\xe9"')
    with pytest.raises(SpecError, match=r"latin\.toml"):
        read(latin)


def test_an_error_in_a_file_names_the_file_and_the_field(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text('name = "demo"\nfam = "3M"')
    with pytest.raises(SpecError, match=r"lab\.toml: fam is 3M") as refused:
        read(path)
    assert refused.value.field == "fam"
