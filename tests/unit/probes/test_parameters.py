import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab import probes
from fame_lab.errors import SpecError
from fame_lab.probes.common.parameters import parameters, value

FAMILIES = probes.names()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_parameter_is_there_with_what_it_takes_and_its_default(name: str) -> None:
    signature = inspect.signature(probes.family(name).run)
    fields = parameters(name)
    assert [each.name for each in fields] == list(signature.parameters)[1:]
    for each in fields:
        assert each.kind
        assert "`" not in each.words
        assert each.default == signature.parameters[each.name].default


@pytest.mark.parametrize("name", FAMILIES)
def test_a_default_as_it_is_typed_reads_as_itself(name: str) -> None:
    for each in parameters(name):
        read = each.read(each.text)
        assert (tuple(read) if isinstance(read, list) else read) in (each.default, *_one(each.default))


def _one(default: object) -> tuple[object, ...]:
    """One value for a list of one, as a probe takes it."""
    return tuple(default) if isinstance(default, tuple) and len(default) == 1 else ()


def test_text_where_there_must_be_a_number_is_refused() -> None:
    batches = next(each for each in parameters("chase") if each.name == "batches")
    with pytest.raises(SpecError, match="batches is 'many': give a whole number"):
        batches.read("many")
    assert batches.read("") == 50


@given(st.text())
def test_whatever_is_typed_comes_to_a_value_or_a_refusal(text: str) -> None:
    value(text)
    for each in parameters("chase"):
        try:
            each.read(text)
        except SpecError as error:
            assert str(error).startswith(f"{each.name} is ")
