import pytest
from sampling_looks import another_look, changed

from fame_lab import Lab
from fame_lab.traffic.sampling.sampling_thread import SamplingThread

MIB = 1 << 20
#: As quick as looks allow.
SOON = 0.001


@pytest.mark.vm
def test_what_guests_store_is_seen_and_what_they_load_is_not(lab: Lab) -> None:
    with SamplingThread(lab.fam, interval=SOON, granule=64) as watch:
        lab.nodes[0].probe("store", "--fam", "/dev/fam", "--offset", str(5 * MIB), "of node01")
        lab.nodes[1].probe("store", "--fam", "/dev/fam", "--offset", str(6 * MIB + 60), "of node02")
        lab.nodes[0].probe("load", "--fam", "/dev/fam", "--offset", str(7 * MIB), "--size", "64")
        another_look(watch)
        offsets = set(changed(watch.samples()))
    assert offsets == {5 * MIB, 6 * MIB, 6 * MIB + 64}
