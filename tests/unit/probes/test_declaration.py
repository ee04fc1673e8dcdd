import warnings
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab import probes
from fame_lab.errors import SpecError
from fame_lab.probes import litmus
from fame_lab.probes.common.constraints import Choice, Choices, Multiple, Range, Several
from fame_lab.probes.common.declaration import Declaration, check_arguments, current_names, declarations
from fame_lab.probes.common.parameters import saved_parameters


@check_arguments
def run(
    lab: Any,
    *,
    count: Annotated[int, Range(3, 9)] = 5,
    names: Annotated[Sequence[str], Choices("a", "b")] = ("a", "b"),
    sizes: Annotated[int | str | Sequence[int | str], Several(Multiple(64))] = 64,
    how: Literal["here", "there"] = "here",
    peer_timeout: Annotated[float, Range(1.0, 60.0, "seconds", whole=True)] = 10.0,
    free: object = None,
) -> dict[str, Any]:
    arguments = {"count": count, "names": names, "sizes": sizes, "how": how, "free": free}
    return arguments | {"peer_timeout": peer_timeout}


def test_defaults_come_as_what_is_given_does() -> None:
    usual = {"count": 5, "names": ["a", "b"], "sizes": 64, "how": "here", "peer_timeout": 10.0, "free": None}
    assert run(None) == usual
    numpys: dict[str, Any] = {"count": np.int8(9), "sizes": ["4K", np.int64(64)], "free": np.arange(2)}
    arguments = run(None, names="b", **numpys)
    assert arguments == usual | {"count": 9, "names": ["b"], "sizes": [4096, 64], "free": [0, 1]}
    assert run(None, sizes="4K")["sizes"] == 4096


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ({"count": 2}, "count is 2: give a whole number from 3 to 9"),
        ({"count": 5.0}, "count is 5.0: give a whole number from 3 to 9"),
        ({"names": "c"}, "names is 'c': give one or both of a, b"),
        ({"names": []}, "names is []: give one or both of a, b"),
        ({"sizes": [1]}, "give 1 to 64 values, each once, and each a multiple of 64 bytes, above 0"),
        ({"how": "far"}, "how is 'far': give one of here, there"),
        ({"peer_timeout": 1.5}, "peer_timeout is 1.5: give 1 to 60 seconds, whole ones"),
        ({"coun": 5}, "has no parameter 'coun'; it has count, names, sizes, how, peer_timeout, free"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named_with_what_to_give(arguments: dict[str, Any], refusal: str) -> None:
    with pytest.raises(SpecError) as error:
        run(None, **arguments)
    assert str(error.value).endswith(refusal)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Sequence[int | str] | None, 4096, (4096,)),
        (Sequence[int | str] | None, "4K", ("4K",)),
        (Sequence[int | str] | None, ["4K", 8192], ["4K", 8192]),
        (Sequence[int | str] | None, None, None),
        (int | str, "4K", "4K"),
        (int, 1e5, 100_000),
        (int, 1.5, 1.5),
        (int, np.int64(30), 30),
        (float, np.float64(0.5), 0.5),
    ],
)
def test_values_are_taken_as_a_person_or_numpy_gives_them(kind: Any, value: Any, expected: Any) -> None:
    result = Declaration("it", kind, None).from_text(value)
    assert result == expected
    assert type(result) is type(expected)


def test_an_earlier_name_is_understood_with_a_warning_where_it_was_given() -> None:
    with pytest.warns(DeprecationWarning, match="patience is called peer_timeout") as record:
        assert run(None, patience=7)["peer_timeout"] == 7  # type: ignore[call-arg]
    assert record[0].filename == __file__
    with pytest.warns(DeprecationWarning), pytest.raises(SpecError, match="peer_timeout is 0: give 1 to 60"):
        run(None, patience=0)  # type: ignore[call-arg]


def test_both_names_at_once_are_refused() -> None:
    with pytest.raises(SpecError, match="patience and peer_timeout are the same: give peer_timeout alone"):
        run(None, patience=7, peer_timeout=7)  # type: ignore[call-arg]


WITH_PEERS = set(probes.names()) - {"bandwidth", "chase", "timer"}


@pytest.mark.parametrize("probe", sorted(WITH_PEERS))
def test_every_probe_with_peers_understands_the_earlier_name(probe: str) -> None:
    with pytest.warns(DeprecationWarning), pytest.raises(SpecError, match="peer_timeout is 0"):
        probes.run(None, probe, patience=0)  # type: ignore[arg-type] # it is refused before a lab is asked


def test_a_parameter_that_has_that_name_keeps_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert current_names({"patience": 1}, ["patience", "peer_timeout"], 2) == {"patience": 1}
        assert current_names({"patience": 1}, ["batches"], 2) == {"patience": 1}


def test_what_was_saved_is_read_by_the_names_of_now_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert saved_parameters("ring", {"slots": 2, "patience": 10.0}) == {"slots": 2, "peer_timeout": 10.0}
        assert saved_parameters("chase", {"patience": 10.0}) == {"patience": 10.0}
        assert saved_parameters("a probe of yours", {"patience": 10.0}) == {"patience": 10.0}


def test_a_literal_is_a_choice_and_what_has_no_type_is_free() -> None:
    assert str(declarations(run)["how"].constraint) == str(Choice("here", "there"))
    assert declarations(run)["free"] == Declaration("free", object, None)


def test_why_a_choice_is_none_is_said() -> None:
    with pytest.raises(SpecError, match="mapping is 'wc': give one of uc, wb; x86-TSO says nothing of"):
        litmus.run(None, mapping="wc")  # type: ignore[arg-type]


@given(st.from_type(object) | st.text() | st.lists(st.integers() | st.text()) | st.floats())
def test_whatever_is_given_comes_to_a_value_or_a_refusal_by_name(value: Any) -> None:
    for name, each in declarations(run).items():
        try:
            each.read(value)
        except SpecError as error:
            assert str(error).startswith(f"{name} is ")
