"""The C engine equals the model in plain Python, to the last transaction."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fabric_engine import FabricEngine, as_steps
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_caches import LINE, Access, ReferenceCaches

from fame_lab.traffic.transactions.cache import Cache
from fame_lab.traffic.transactions.layout import CAUSES, KINDS, DirectoryLayout

FAM = 1 << 20
NODES = 4

#: (lines, ways): few sets, so that lines meet in them.
SHAPES = [(1, 1), (4, 1), (4, 4), (8, 2), (64, 16)]


def accesses(nodes: int = NODES, lines: int = 12) -> st.SearchStrategy[list[Access]]:
    access = st.tuples(
        st.integers(0, nodes - 1),
        st.integers(0, lines * LINE - 1),
        st.sampled_from([1, 2, 4, 8, 16, 64]),
        st.sampled_from(["load", "store", "locked"]),
    )
    return st.lists(access, max_size=120)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> FabricEngine:
    path = tmp_path_factory.mktemp("engine") / "lines"
    return FabricEngine(path, DirectoryLayout(FAM, 64 << 10, NODES), Cache("4K", ways=1))


def model_of(cache: Cache, nodes: int = NODES) -> ReferenceCaches:
    hardware, memory_atomics = cache.coherence == "hardware", cache.atomics == "memory"
    return ReferenceCaches(nodes, cache.sets, cache.ways, hardware=hardware, memory_atomics=memory_atomics)


def both(engine: FabricEngine, cache: Cache, stream: list[Access]) -> tuple[FabricEngine, ReferenceCaches]:
    model = model_of(cache)
    engine.begin(cache)
    engine.run(stream)
    model.run(stream)
    return engine, model


def assert_equal(engine: FabricEngine, model: ReferenceCaches) -> None:
    directory, cache = engine.directory, engine.cache
    named = {*KINDS, *CAUSES}
    assert engine.counts() == Counter({key: value for key, value in model.counts.items() if key[0] in named})
    for node, cached in enumerate(model.caches):
        totals = directory.totals(node)
        for name in ("evictions", "losses", "drops"):
            assert totals[name] == sum(n for key, n in model.counts.items() if key[:2] == (name, node)), name
        victims = {victim: n for (by, victim), n in model.invalidations.items() if by == node}
        assert {v: n for v, n in enumerate(totals["invalidations"].tolist()) if n} == victims
        ways = sorted((w.line, w.loaded | w.stored) for here in cached.values() for w in here)
        held = directory.held(node, cache)
        assert list(zip(held.lines.tolist(), held.bytes.tolist(), strict=True)) == ways
        lines, losses = directory.losses(node)
        own = {line: loss for (by, line), loss in model.losses.items() if by == node}
        assert lines.tolist() == sorted(own)
        for line, loss in zip(lines.tolist(), losses, strict=True):
            takers = sum(1 << taker for taker in own[line].takers)
            each = own[line]
            bytes_ = (each.own_bytes, each.taken_bytes)
            assert loss.tolist() == (takers, *bytes_, each.false_sharing, each.sharing)


def random_stream(count: int, nodes: int, lines: int, seed: int) -> list[Access]:
    """Return accesses of which some cross lines, and half go to a few lines that all nodes share."""
    rng = np.random.default_rng(seed)
    line = np.where(rng.random(count) < 0.5, rng.integers(0, 4, count), rng.integers(0, lines, count))
    offset = np.minimum(line * LINE + rng.integers(0, LINE, count), lines * LINE - 64)
    kinds = np.array(["load", "load", "store", "locked"])[rng.integers(0, 4, count)]
    sizes = np.array([1, 2, 4, 8, 16, 64])[rng.integers(0, 6, count)]
    columns = (rng.integers(0, nodes, count), offset, sizes, kinds)
    return list(zip(*(each.tolist() for each in columns), strict=True))


each_kind = pytest.mark.parametrize(
    "cache",
    [
        Cache(lines * LINE, ways=ways, coherence=coherence, atomics=atomics)
        for lines, ways in SHAPES
        for coherence in ("hardware", "software")
        for atomics in ("cached", "memory")
    ],
    ids=lambda cache: f"{cache.sets}x{cache.ways}-{cache.coherence}-{cache.atomics}",
)


@each_kind
def test_the_engine_equals_the_model_on_any_stream(engine: FabricEngine, cache: Cache) -> None:
    @settings(max_examples=25, deadline=None)
    @given(stream=accesses())
    def equal(stream: list[Access]) -> None:
        assert_equal(*both(engine, cache, stream))

    equal()


@each_kind
def test_the_engine_equals_the_model_on_a_long_stream(engine: FabricEngine, cache: Cache) -> None:
    assert_equal(*both(engine, cache, random_stream(5000, NODES, lines=150, seed=int(cache.size))))


#: Rows of the table in traffic/transactions/cache.py: what came before, the access, what it causes.
L0, L1, S0, S1 = ((node, 0, 8, kind) for kind in ("load", "store") for node in (0, 1))
TABLE = {
    "load miss, nobody": ([], L0, {"fill": 1, "cold": 1}),
    "load miss, E": ([L1], L0, {"fill": 1, "cold": 1}),
    "load miss, S": ([L1, (2, 0, 8, "load")], L0, {"fill": 1, "cold": 1}),
    "load miss, M": ([S1], L0, {"forward": 1, "write_back": 1, "cold": 1}),
    "store miss, nobody": ([], S0, {"fill_ownership": 1, "cold": 1}),
    "store miss, E": ([L1], S0, {"fill_ownership": 1, "invalidate": 1, "cold": 1}),
    "store miss, S": ([L1, (2, 0, 8, "load")], S0, {"fill_ownership": 1, "invalidate": 2, "cold": 1}),
    "store miss, M": ([S1], S0, {"forward": 1, "invalidate": 1, "cold": 1}),
    "store hit on S, others S": ([L0, L1], S0, {"upgrade": 1, "invalidate": 1}),
    "store hit on S, none other any more": ([L0, L1, (1, FAM // 2, 8, "load")], S0, {"upgrade": 1}),
    "store hit on E": ([L0], S0, {}),
    "store hit on M": ([S0], S0, {}),
    "load hit on S": ([L0, L1], L0, {}),
    "load hit on M": ([S0], L0, {}),
    "eviction of M": ([S0], (0, FAM // 2, 8, "load"), {"write_back": 1, "fill": 1, "cold": 1}),
    "eviction of E": ([L0], (0, FAM // 2, 8, "load"), {"fill": 1, "cold": 1}),
    "a miss after an eviction": ([L0, (0, FAM // 2, 8, "load")], L0, {"fill": 1, "capacity": 1}),
    "a miss after a loss": ([L0, S1], L0, {"forward": 1, "write_back": 1, "coherence": 1}),
    "a locked instruction": ([], (0, 0, 8, "locked"), {"fill_ownership": 1, "cold": 1}),
    "a load across two lines": ([], (0, 60, 8, "load"), {"fill": 2, "cold": 2}),
    "an access that the control area cuts": (
        [],
        (0, FAM - (64 << 10) - 4, 8, "load"),
        {"fill": 1, "cold": 1},
    ),
    "an access to the control area": ([], (0, FAM - 8, 8, "store"), {}),
}


@pytest.mark.parametrize("row", TABLE)
def test_each_row_of_the_table(engine: FabricEngine, row: str) -> None:
    before, access, expected = TABLE[row]
    engine.begin(Cache("4K", ways=1))
    engine.run(before)
    earlier = engine.counts()
    engine.run([access])
    caused: Counter[str] = Counter()
    for (what, _, _), count in (engine.counts() - earlier).items():
        caused[what] += count
    assert caused == expected


def test_bytes_of_lost_lines_tell_false_sharing_from_sharing(engine: FabricEngine) -> None:
    engine.begin(Cache("4K"))
    engine.run(
        [(0, 0, 8, "store"), (1, 8, 8, "store"), (0, 0, 8, "store"), (1, 0, 16, "store"), (0, 0, 8, "load")]
    )
    (line,), (loss,) = engine.directory.losses(0)
    assert line == 0
    assert loss.tolist() == (1 << 1, 0xFF, 0xFFFF, 1, 1)


def test_a_dead_node_holds_nothing_and_owes_nothing(engine: FabricEngine) -> None:
    engine.begin(Cache("4K"))
    engine.run([S1])
    engine.directory.release(1)
    engine.run([L0])
    assert {what for what, node, _ in engine.counts() if node == 0} == {"fill", "cold"}
    assert not [what for what, node, _ in engine.counts() if node == 1 and what == "write_back"]


def test_many_threads_keep_the_conservation_laws(engine: FabricEngine) -> None:
    cache = Cache("4K", ways=4)
    engine.begin(cache)
    streams = []
    for node in range(NODES):
        stream = random_stream(20_000, 1, 150, seed=node)
        streams.append(as_steps([(node, offset, size, kind) for _, offset, size, kind in stream]))
    with ThreadPoolExecutor(NODES) as pool:
        list(pool.map(engine.run, streams))
    counts = engine.counts()
    totals = [engine.directory.totals(node) for node in range(NODES)]
    for node in range(NODES):
        kinds: Counter[str] = Counter()
        for (what, by, _), count in counts.items():
            kinds[what] += count * (by == node)
        brought = kinds["fill"] + kinds["fill_ownership"] + kinds["forward"]
        held = engine.directory.held(node, cache)
        gone = sum(int(totals[node][name]) for name in ("evictions", "losses", "drops"))
        assert brought - gone == len(held.lines)
        assert brought == sum(kinds[cause] for cause in CAUSES)
        assert kinds["invalidate"] == totals[node]["invalidations"].sum()
        taken = sum(int(each["invalidations"][node]) for each in totals)
        assert taken == totals[node]["losses"] + (~held.held(node)).sum()


@pytest.mark.soak
@pytest.mark.parametrize(
    ("cache", "count"),
    [
        (Cache("64K", ways=16), 5_000_000),
        (Cache("16K", ways=1), 2_000_000),
        (Cache("96K", ways=12, atomics="memory"), 2_000_000),
        (Cache("32K", ways=8, coherence="software"), 1_000_000),
    ],
    ids=lambda value: f"{value.describe()}" if isinstance(value, Cache) else None,
)
def test_ten_million_accesses_of_forty_nodes(tmp_path: Path, cache: Cache, count: int) -> None:
    nodes = 40
    engine = FabricEngine(tmp_path / "lines", DirectoryLayout(4 << 20, 64 << 10, nodes), cache)
    model = model_of(cache, nodes)
    for seed in range(count // 250_000):
        stream = random_stream(250_000, nodes, 40_000, seed)
        engine.run(stream)
        model.run(stream)
    assert_equal(engine, model)
