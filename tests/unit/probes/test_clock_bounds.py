import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame_lab.errors import ProbeError
from fame_lab.probes.common.clock_bounds import Exchanges, Times

Spans = npt.NDArray[np.float64]

#: How fast the writer's made-up clock runs.
RATE = 1.01


def exchanged(
    there: Spans, back: Spans, pause: Spans, *, drift: float = 0.0, step: int = 1, offset: float = 3e14
) -> Exchanges:
    """Exchanges between two made-up clocks that advance in steps."""
    stores = np.cumsum(np.concatenate(([0.0], (there + back + pause)[:-1])))

    def read(at: Spans, rate: float, origin: float) -> Times:
        return np.array((rate * at + origin) // step * step, np.int64)

    def writer(at: Spans) -> Times:
        return read(at, RATE, 5e12)

    sight = read(stores + there, RATE * (1 + drift), offset)
    return Exchanges(writer(stores), sight, writer(stores + there + back), step, step)


def ways(seed: int, count: int = 300) -> tuple[Spans, Spans, Spans]:
    """Quick and slow ways there and back, and short and long pauses."""
    random = np.random.default_rng(seed)
    there, back = (random.exponential(50, count) + random.choice([40, 40, 40, 1e6], count) for _ in "ab")
    return there, back, random.choice(np.array([20.0, 1e4]), count)


@given(
    seed=st.integers(0, 2**32),
    drift=st.floats(-0.045, 0.045),
    step=st.sampled_from([1, 10, 60, 1000]),
    offset=st.sampled_from([0.0, 3e11, 4e15, -4e12]),
)
def test_what_truly_was_is_within_the_interval_and_that_within_the_round_trip(
    seed: int, drift: float, step: int, offset: float
) -> None:
    there, back, pause = ways(seed)
    exchanges = exchanged(there, back, pause, drift=drift, step=step, offset=offset)
    low, high = exchanges.one_way(max_drift=0.05)
    true = RATE * there
    assert (low <= true + 1).all()
    # The round trip is that of the readings, which may lag.
    assert (np.minimum(true, exchanges.round_trip) <= high + 1).all()
    assert ((low >= 0) & (low <= high) & (high <= exchanges.round_trip)).all()


def test_a_slow_way_is_told_from_a_slow_way_back() -> None:
    there, back, pause = np.full(50, 80.0), np.full(50, 90.0), np.full(50, 20.0)
    there[10] = back[30] = 1e6
    low, high = exchanged(there, back, pause).one_way(max_drift=0.05)
    assert low[10] > 0.94e6
    assert high[30] < 0.06e6
    assert high[20] < 200


def test_one_exchange_alone_proves_no_more_than_its_round_trip() -> None:
    one = Exchanges(np.array([10]), np.array([7_000_000]), np.array([250]), 1, 1)
    low, high = one.one_way(max_drift=0.05)
    assert (low.item(), high.item()) == (0, 240)


def test_the_interval_is_wider_the_more_drift_is_allowed() -> None:
    exchanges = exchanged(*ways(seed=2))
    narrow, wide = (high - low for low, high in map(exchanges.one_way, (0.001, 0.5)))
    assert (narrow <= wide).all()
    assert narrow.sum() < wide.sum()


def test_clocks_that_drift_faster_than_allowed_contradict_each_other() -> None:
    exchanges = exchanged(*ways(seed=3), drift=0.2)
    with pytest.raises(ProbeError, match=r"contradict each other by \d+ ns .* max_drift = 0.05 allows"):
        exchanges.one_way(max_drift=0.05)
    exchanges.one_way(max_drift=0.25)


def test_a_clock_that_was_set_contradicts_the_other() -> None:
    exchanges = exchanged(*ways(seed=4))
    exchanges.sight[150:] += 10**9
    with pytest.raises(ProbeError, match="or one was set"):
        exchanges.one_way(max_drift=0.05)
