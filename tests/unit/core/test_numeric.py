import enum
import fractions
import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.core.numeric import check_number, check_whole, real, whole
from fame_lab.errors import SpecError


class Small(enum.IntEnum):
    TWO = 2


@pytest.mark.parametrize("value", [2, np.int64(2), np.uint8(2), np.array(2), xr.DataArray(2), Small.TWO])
def test_a_whole_number_of_any_type_becomes_pythons_own(value: object) -> None:
    assert whole(value) == 2
    assert type(whole(value)) is int


@pytest.mark.parametrize(
    "value",
    [True, np.bool_(True), np.array(True), 2.0, np.float64(2), "2", b"2", None, [2], np.array([2]), math.nan],
)
def test_what_is_no_whole_number_is_none(value: object) -> None:
    assert whole(value) is None


@pytest.mark.parametrize(
    "value", [0.5, np.float32(0.5), np.float64(0.5), np.array(0.5), fractions.Fraction(1, 2)]
)
def test_a_number_of_any_type_becomes_pythons_own(value: object) -> None:
    assert real(value) == 0.5
    assert type(real(value)) is float


def test_a_number_that_is_whole_by_its_type_stays_so() -> None:
    assert type(real(np.int32(3))) is int


@pytest.mark.parametrize(
    "value", [True, np.bool_(False), math.nan, np.float32("inf"), "0.5", None, 1j, [0.5]]
)
def test_what_is_no_finite_number_is_none(value: object) -> None:
    assert real(value) is None


@given(st.one_of(st.integers(), st.text(), st.binary(), st.floats(), st.none(), st.booleans()))
def test_a_check_gives_a_number_in_range_or_one_short_error(value: object) -> None:
    for check in (check_whole, check_number):
        try:
            assert 1 <= check("n", value, 1, 40) <= 40
        except SpecError as error:
            assert str(error).startswith("n is ")
            assert len(str(error)) < 1000


@pytest.mark.parametrize("value", [10**5000, -(10**5000), "9" * 100_000], ids=["large", "small", "text"])
def test_a_huge_number_gives_a_short_error(value: object) -> None:
    for check in (check_whole, check_number):
        with pytest.raises(SpecError) as error:
            check("n", value, 1, 40)
        assert len(str(error.value)) < 300
