import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab import Cache
from fame_lab.core.sizes import parse_size
from fame_lab.errors import SpecError

SETS = st.integers(0, 20).map(lambda power: 1 << power)
WAYS = st.integers(1, 64)


def proposed(error: SpecError) -> list[str]:
    """Return the sizes that a hint proposes."""
    return re.findall(r"[0-9]+[KMGT]?", error.hint.split(";")[0])


@given(SETS, WAYS)
def test_every_power_of_two_of_sets_is_a_cache(sets: int, ways: int) -> None:
    assert Cache(64 * sets * ways, ways).sets == sets


@given(st.integers(1, (1 << 63) - 1), WAYS)
def test_a_size_is_a_cache_or_those_around_it_are_proposed(size: int, ways: int) -> None:
    try:
        assert Cache(size, ways).sets * ways * 64 == size
    except SpecError as error:
        assert error.message.startswith(f"size is {size}: ")
        sizes = [parse_size(each) for each in proposed(error)]
        assert [int(Cache(each, ways).size) for each in sizes] == sizes
        assert len(sizes) == 2 or sizes[0] > 1 << 61
        assert size < sizes[-1] or len(sizes) == 1
        assert sizes[0] < size or sizes[0] == 64 * ways


@pytest.mark.parametrize("size", [0, -1, -(1 << 20), 1, 63, 1023])
def test_what_holds_no_set_is_refused_with_the_smallest_that_does(size: int) -> None:
    with pytest.raises(SpecError, match=f"size is {size}: ") as refused:
        Cache(size)
    assert proposed(refused.value) == ["1K", "2K"]


@pytest.mark.parametrize(
    ("size", "ways", "told", "sizes"),
    [
        ("3K", 16, "3 sets of 16 ways", ["2K", "4K"]),
        ("96K", 16, "96 sets of 16 ways", ["64K", "128K"]),
        ((1 << 20) + 1, 16, "no multiple of 16 ways of 64 bytes", ["1M", "2M"]),
        ("1M", 12, "no multiple of 12 ways of 64 bytes", ["768K", "1536K"]),
        (200, 3, "no multiple of 3 ways of 64 bytes", ["192", "384"]),
    ],
)
def test_a_size_without_a_power_of_two_of_sets_is_refused_and_says_why(
    size: int | str, ways: int, told: str, sizes: list[str]
) -> None:
    with pytest.raises(SpecError, match=told) as refused:
        Cache(size, ways)
    assert proposed(refused.value) == sizes


@pytest.mark.parametrize("size", [1 << 63, 10**30, "99999999999999T", -(1 << 64)])
def test_a_size_that_no_file_has_is_refused(size: int | str) -> None:
    with pytest.raises(SpecError, match=r"size is .*no file has more"):
        Cache(size)


@pytest.mark.parametrize("size", ["", "big", "1.5M", "-1M", 1.5, None, True, [], b"1M", np.arange(2)])
def test_what_is_no_size_is_refused(size: Any) -> None:
    with pytest.raises(SpecError, match=r"size is .*give whole bytes"):
        Cache(size)


@pytest.mark.parametrize("ways", [0, -1, 65, 1 << 70, True, "x", "16", 1.0, None, np.arange(2)])
def test_ways_that_cannot_be_are_refused(ways: Any) -> None:
    with pytest.raises(SpecError, match=r"ways is .*give a whole number from 1 to 64"):
        Cache("1M", ways)


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64, np.array])
def test_numpy_s_numbers_are_numbers(kind: Any) -> None:
    cache = Cache(kind(64), ways=kind(1))
    assert cache == Cache(64, ways=1)
    assert type(cache.size) is type(cache.ways) is int


@pytest.mark.parametrize("field", ["coherence", "atomics"])
@pytest.mark.parametrize("value", ["", "Hardware", "none", None, True, 3, [], np.array(["a", "b"])])
def test_a_choice_that_there_is_not_is_refused_with_those_that_there_are(field: str, value: Any) -> None:
    with pytest.raises(SpecError, match=f"{field} is ") as refused:
        Cache("1M", **{field: value})
    for choice in re.findall("'([a-z]+)'", refused.value.hint):
        assert getattr(Cache("1M", **{field: choice}), field) == choice


def test_a_cache_fits_if_it_is_no_larger_than_fam() -> None:
    Cache("1M").check_fits(1 << 20)
    with pytest.raises(SpecError, match="cache is 1M, larger than FAM: FAM is 512K"):
        Cache("1M").check_fits(512 << 10)


def test_one_size_written_in_two_ways_is_one_cache() -> None:
    assert Cache("1M") == Cache(1 << 20) == Cache("1024K")
    assert len({Cache("1M"), Cache(1 << 20), Cache("1 MiB", ways=16)}) == 1
    assert Cache("1M") != Cache("1M", atomics="memory")


@given(SETS, WAYS, st.sampled_from(["hardware", "software"]), st.sampled_from(["cached", "memory"]))
def test_its_fields_make_it_again(sets: int, ways: int, coherence: str, atomics: str) -> None:
    cache = Cache(64 * sets * ways, ways, coherence=coherence, atomics=atomics)
    assert Cache(**cache.to_dict()) == cache


def test_it_describes_itself() -> None:
    assert Cache("1M").describe() == "1M cache a node, 16 ways, LRU, hardware coherence"
    other = Cache("64", ways=1, coherence="software", atomics="memory")
    assert other.describe() == "64 B cache a node, 1 way, LRU, software coherence, atomics in memory"
