"""The looks of a sampling thread, waited for and read."""

from waiting import wait_for

from fame_lab.traffic.sampling.samples import Samples
from fame_lab.traffic.sampling.sampling_thread import SamplingThread

__all__ = ["another_look", "changed", "looks"]


def looks(watch: SamplingThread) -> int:
    return watch.counted.looks.sizes["look"]


def another_look(watch: SamplingThread) -> None:
    """Wait until a look that began after this call has ended."""
    before = looks(watch)
    wait_for(lambda: looks(watch) >= before + 2)


def changed(samples: Samples) -> dict[int, int]:
    counts = samples.counts["changed"]
    return dict(zip(counts["granule"].values.tolist(), counts.values.tolist(), strict=True))
