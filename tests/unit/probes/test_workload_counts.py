"""The loads and stores that workloads report, against models that know nothing of how they are counted."""

import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from fame_lab.probes import workloads
from fame_lab.probes.common.workload_placement import Placement, StripedRange
from fame_lab.spec.fam_layout import Books
from fame_lab.testing import LocalLab

SIZE = 24 << 10
WORDS = SIZE // 8
OPERATIONS = 1 << 15
BATCHES = 30
SEED = 11
ALL = (BATCHES + 3) * OPERATIONS


#: Pages of the numbers that a node draws for a batch.
DRAWN = OPERATIONS // 512

#: Of those that the host does so fast that few would be over before its clock is read.
MANY = 8 * OPERATIONS


def counted(tmp_path: Path, operations: int = OPERATIONS, **parameters: Any) -> tuple[LocalLab, xr.Dataset]:
    lab: Any = LocalLab.make(tmp_path, nodes=3, layout="interleaved", book="8K")
    result = workloads.run(lab, seed=SEED, size=SIZE, operations=operations, batches=BATCHES, **parameters)
    assert not result.failed
    return lab, result.dataset


def random_numbers(rank: int) -> Iterator[int]:
    """Return a node's random numbers: splitmix64, in Python's own whole numbers."""

    def following(state: int) -> Iterator[int]:
        while True:
            state = (state + 0x9E3779B97F4A7C15) % 2**64
            z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
            yield z ^ (z >> 31)

    return following(next(itertools.islice(following(SEED), rank, None)))


@functools.cache
def draws(rank: int, limit: int) -> Counter[int]:
    """How often a node draws each number below a limit."""
    return Counter(number * limit >> 64 for number in itertools.islice(random_numbers(rank), ALL))


def by_home(books: Books, spread: StripedRange, times: Counter[int]) -> list[int]:
    """Add up, by home, how often each word is accessed."""
    counts = [0] * books.nodes
    for word, often in times.items():
        stripe, into = divmod(8 * word, spread.stripe)
        home = books.home(spread.offset(stripe) + into)
        assert home is not None
        counts[home] += often
    return counts


def every(words: Iterable[int], often: int) -> Counter[int]:
    return Counter(dict.fromkeys(words, often))


def touched(words: int, beside: int = 0) -> Counter[int]:
    """A word of each page: once, and once for each time that an emulator's TLB has to grow.

    It has to for all pages that are used: those `beside` are of other data, or of the numbers drawn.
    """
    pages = -(-words // 512) + beside
    grown = sum(64 << i < 4 * pages for i in range(40))
    return every(range(0, words, 512), 1 + grown)


def strided(stride: int) -> Counter[int]:
    places = WORDS // stride
    return Counter((i % places) * stride + i // places % stride for i in range(ALL))


@pytest.mark.parametrize("placement", ["own", "remote", "interleaved"])
def test_sequential_loads_every_word_in_turn(tmp_path: Path, placement: str) -> None:
    lab, data = counted(tmp_path, MANY, workloads="sequential", placement=placement, nodes=[1])
    spread = Placement(lab.spec.books, placement, [1]).private(1, SIZE)
    whole, rest = divmod((BATCHES + 3) * MANY, WORDS)
    loads = every(range(WORDS), whole) + every(range(rest), 1)
    assert data["loads"].values.ravel().tolist() == by_home(lab.spec.books, spread, loads + touched(WORDS))
    assert not data["stores"].any()


@pytest.mark.parametrize("placement", ["own", "remote", "interleaved"])
def test_strided_and_random_load_the_words_of_the_model(tmp_path: Path, placement: str) -> None:
    lab, data = counted(
        tmp_path, workloads=["strided", "random"], placement=placement, stride=192, nodes=[2, 0]
    )
    placed = Placement(lab.spec.books, placement, [2, 0])
    for rank, node in enumerate((2, 0)):
        spread = placed.private(node, SIZE)
        models = {
            "strided": strided(24) + touched(WORDS),
            "random": draws(rank, WORDS) + touched(WORDS, DRAWN),
        }
        for name, model in models.items():
            row = data.sel(workload=name, initiator=f"node{node + 1:02}")
            assert row["loads"].values.tolist() == by_home(lab.spec.books, spread, model)
            assert not row["stores"].any()


@pytest.mark.parametrize("placement", ["own", "interleaved"])
def test_a_shared_table_is_made_by_the_first_and_updated_by_all(tmp_path: Path, placement: str) -> None:
    lab, data = counted(tmp_path, workloads="gups", placement=placement, nodes=[1, 2])
    spread = Placement(lab.spec.books, placement, [1, 2]).shared(SIZE)
    for rank in range(2):
        row = data.isel(workload=0, initiator=rank)
        updates = draws(rank, WORDS)
        first_stores = every(range(WORDS) if rank == 0 else (), 1)
        assert row["loads"].values.tolist() == by_home(
            lab.spec.books, spread, updates + touched(WORDS, DRAWN)
        )
        assert row["stores"].values.tolist() == by_home(lab.spec.books, spread, updates + first_stores)


@pytest.mark.parametrize("placement", ["remote", "interleaved"])
def test_stream_is_ten_accesses_for_four_kernels(tmp_path: Path, placement: str) -> None:
    lab, data = counted(tmp_path, MANY, workloads="stream", placement=placement, nodes=[0])
    spread = Placement(lab.spec.books, placement, [0]).private(0, SIZE)
    n = WORDS // 3
    rounds = 33 * (MANY // (4 * n))
    assert data["operations"].item() * 33 == rounds * 4 * n
    a, b, c = range(n), range(n, 2 * n), range(2 * n, 3 * n)
    # copy c = a, scale b = s c, add c = a + b, triad a = b + s c: two loads of each, stores of 1, 1 and 2.
    loads = every((*a, *b, *c), 2 * rounds)
    stores = every((*a, *b), rounds + 1) + every(c, 2 * rounds + 1)
    assert data["loads"].values.ravel().tolist() == by_home(lab.spec.books, spread, loads + touched(WORDS))
    assert data["stores"].values.ravel().tolist() == by_home(lab.spec.books, spread, stores)
    assert (data["accesses"] == (data["operations"] * 5 / 2)).all()


def test_histograms_are_those_of_the_model(tmp_path: Path) -> None:
    bins = 1000
    lab, data = counted(tmp_path, workloads="histogram", bins=bins, nodes=[0, 1], placement="interleaved")
    books = lab.spec.books
    shared = Placement(books, "interleaved", [0, 1]).shared(8 * bins)
    both = Placement(books, "interleaved", [0, 1])
    merged, private = both.shared(8 * bins), [both.private(node, 8 * bins) for node in (0, 1)]
    each = every(range(bins), 1)
    for rank in range(2):
        samples, first_stores = draws(rank, bins), each if rank == 0 else Counter[int]()
        row = data.sel(workload="histogram-shared").isel(initiator=rank)
        assert row["loads"].values.tolist() == by_home(books, shared, samples + touched(bins, DRAWN))
        assert row["stores"].values.tolist() == by_home(books, shared, samples + first_stores)
        # After each of 33 batches every bin is loaded, added and emptied.
        merges = every(range(bins), 33)
        row = data.sel(workload="histogram-private").isel(initiator=rank)
        loads = np.add(
            by_home(books, private[rank], samples + merges + touched(bins, 2 + DRAWN)),
            by_home(books, merged, merges + touched(bins, 2 + DRAWN)),
        )
        stores = np.add(
            by_home(books, private[rank], samples + merges + each),
            by_home(books, merged, merges + first_stores),
        )
        assert row["loads"].values.tolist() == loads.tolist()
        assert row["stores"].values.tolist() == stores.tolist()


@pytest.mark.parametrize("reads", [0.0, 0.25, 1.0])
def test_a_key_value_store_alone_makes_9_loads_a_read_and_2_and_9_stores_a_write(
    tmp_path: Path, reads: float
) -> None:
    lab, data = counted(tmp_path, workloads="kv", nodes=[1], reads=reads)
    [records] = [Placement(lab.spec.books, "own", [1]).shared(SIZE).read(lab.fam).reshape(-1, 8)]
    writes = int(records[:, 0].sum()) // 2
    assert abs(writes - (1 - reads) * ALL) < 0.01 * ALL
    assert data["loads"].sum() == 9 * (ALL - writes) + 2 * writes + touched(WORDS, DRAWN).total()
    assert data["stores"].sum() == 9 * writes + WORDS
    assert not data["retries"].any()


def frequencies(tmp_path: Path, theta: float) -> list[int]:
    """How often each key of a key-value store was written, the most frequent first."""
    lab, _ = counted(tmp_path, workloads="kv", nodes=[0], reads=0, theta=theta)
    records = Placement(lab.spec.books, "own", [0]).shared(SIZE).read(lab.fam).reshape(-1, 8)
    return sorted((records[:, 0] // 2).astype(int).tolist(), reverse=True)


@pytest.mark.parametrize("theta", [0.0, 0.5, 0.99, 1.0, 2.5])
def test_keys_follow_zipf(tmp_path: Path, theta: float) -> None:
    counts = np.array(frequencies(tmp_path, theta), float)
    weights = np.arange(1, counts.size + 1) ** -theta
    expected = weights / weights.sum() * ALL
    assert counts.sum() == ALL
    # Sorted, they lie closer to what is expected than chance alone has them; five standard deviations.
    assert (np.abs(counts - expected) <= 5 * np.sqrt(expected) + 1).all()


def test_the_seed_decides_all_but_time(tmp_path: Path) -> None:
    names = ["random", "zipf", "gups", "histogram"]
    runs = []
    for number, seed in enumerate((1, 1, 2)):
        (tmp_path / str(number)).mkdir()
        lab: Any = LocalLab.make(tmp_path / str(number))
        runs.append(
            workloads.run(
                lab,
                workloads=names,
                placement="interleaved",
                size="64K",
                operations=OPERATIONS,
                seed=seed,
            ).dataset
        )
    for name in ("loads", "stores", "accesses"):
        xr.testing.assert_identical(runs[0][name], runs[1][name])
    assert (runs[0]["loads"] != runs[2]["loads"]).any()
