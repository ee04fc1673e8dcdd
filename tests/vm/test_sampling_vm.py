import time
from collections.abc import Callable

import pytest

from fame_lab import Lab
from fame_lab.traffic.sampling.samples import Samples
from fame_lab.traffic.sampling.sampling_thread import Watch

MIB = 1 << 20
#: As quick as looks allow.
SOON = 0.001


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def looks(watch: Watch) -> int:
    return watch.counted.looks.sizes["look"]


def another_look(watch: Watch) -> None:
    """Wait until a look that began after this call has ended."""
    before = looks(watch)
    wait_for(lambda: looks(watch) >= before + 2)


def changed(samples: Samples) -> dict[int, int]:
    counts = samples.counts["changed"]
    return dict(zip(counts["granule"].values.tolist(), counts.values.tolist(), strict=True))


@pytest.mark.vm
def test_what_guests_store_is_seen_and_what_they_load_is_not(lab: Lab) -> None:
    with Watch(lab.fam, interval=SOON, granule=64) as watch:
        lab.nodes[0].probe("store", "--fam", "/dev/fam", "--offset", str(5 * MIB), "of node01")
        lab.nodes[1].probe("store", "--fam", "/dev/fam", "--offset", str(6 * MIB + 60), "of node02")
        lab.nodes[0].probe("load", "--fam", "/dev/fam", "--offset", str(7 * MIB), "--size", "64")
        another_look(watch)
        seen = set(changed(watch.samples()))
    assert seen == {5 * MIB, 6 * MIB, 6 * MIB + 64}
