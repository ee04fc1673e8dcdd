import os
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sampling_looks import another_look, changed, looks
from waiting import wait_for

from fame_lab.errors import SpecError, TrafficError
from fame_lab.host.fam import Fam
from fame_lab.spec.fam_layout import CONTROL_SIZE
from fame_lab.traffic.sampling.extents import Extent
from fame_lab.traffic.sampling.sampling_thread import SamplingThread
from fame_lab.traffic.sampling.soft_dirty import DirtyPages

MIB = 1 << 20
PAGE = 4096
#: So long that no look comes by itself but the first and the last.
NEVER = 3600.0
#: As quick as looks allow.
SOON = 0.001


@pytest.fixture
def fam(tmp_path: Path) -> Fam:
    return Fam.create(tmp_path / "fam", 64 * MIB)


def sampling_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "fame_lab-samples"]


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_it_counts_the_looks_in_which_a_granule_had_changed(fam: Fam) -> None:
    with SamplingThread(fam, interval=SOON) as watch:
        for value in (b"1", b"2", b"3"):
            fam.write(0, value)
            another_look(watch)
        fam.write(9 * MIB + 5, b"x")
        samples = watch.stop()
    assert changed(samples) == {0: 3, 9 * MIB: 1}
    assert samples.window == (0, 64 * MIB - CONTROL_SIZE)
    assert samples.counts["changed"].dtype == np.uint64
    assert samples.counts.attrs == {"granule": PAGE, "looks": samples.looks.sizes["look"]}
    assert "changed_by" not in samples.counts


def test_two_stores_between_two_looks_count_one(fam: Fam) -> None:
    with SamplingThread(fam, interval=NEVER) as watch:
        fam.write(0, b"1")
        fam.write(8, b"2")
        fam.write(0, b"3")
    assert changed(watch.samples()) == {0: 1}


def test_what_was_there_before_the_start_does_not_count(fam: Fam) -> None:
    fam.write(0, b"before")
    watch = SamplingThread(fam, interval=NEVER)
    fam.write(PAGE, b"before the start")
    watch.start()
    fam.write(2 * PAGE, b"after it")
    assert changed(watch.stop()) == {2 * PAGE: 1}


def test_the_timeline_adds_up_to_the_counts(fam: Fam) -> None:
    with SamplingThread(fam, interval=SOON, bin_size=MIB) as watch:
        for value, page in enumerate((0, 1, 300, 1, 600), 1):
            fam.write(page * PAGE, bytes([value]))
            another_look(watch)
    samples = watch.samples()
    line = samples.timeline["changed"]
    assert line["bin"].values.tolist() == [0, MIB, 2 * MIB]
    assert line.sum("time").values.tolist() == [3, 1, 1]
    assert (np.diff(line["time"].values) > 0).all()
    assert samples.timeline.attrs == {"bin": MIB, "granule": PAGE}
    assert line.sizes["time"] == samples.counts.attrs["looks"]


def test_it_tells_the_intervals_that_came_of_it(fam: Fam) -> None:
    with SamplingThread(fam, interval=0.02) as watch:
        wait_for(lambda: looks(watch) >= 4)
    samples = watch.samples()
    assert (samples.looks["interval"].values >= 0).all()
    assert (samples.looks["took"].values > 0).all()
    assert samples.looks["interval"].sum() == pytest.approx(samples.timeline["time"].values[-1])
    assert samples.looks.attrs == {"wanted": 0.02}
    assert samples.resolution().startswith("a look every ")


def test_it_is_read_while_it_runs(fam: Fam) -> None:
    with SamplingThread(fam, interval=SOON) as watch:
        assert changed(watch.samples()) == {}
        fam.write(PAGE, b"x")
        another_look(watch)
        assert changed(watch.samples()) == {PAGE: 1}
        fam.write(PAGE, b"y")
        another_look(watch)
        assert changed(watch.samples()) == {PAGE: 2}


def test_nothing_to_tell_is_told_as_nothing(fam: Fam) -> None:
    with SamplingThread(fam, interval=NEVER) as watch:
        empty = watch.samples()
    assert empty.counts["changed"].shape == (0,)
    assert empty.timeline["changed"].shape == (0, 0)
    assert empty.resolution() == "no look yet (wanted 3.6e+03 s)"


def test_no_thread_and_no_open_file_is_left(fam: Fam) -> None:
    before = open_files()
    with SamplingThread(fam, interval=SOON) as watch:
        assert len(sampling_threads()) == 1
        another_look(watch)
    assert sampling_threads() == []
    assert open_files() == before


def test_a_file_truncated_ends_it_with_an_error_and_keeps_what_it_saw(fam: Fam) -> None:
    watch = SamplingThread(fam, interval=SOON)
    watch.start()
    fam.write(0, b"seen")
    another_look(watch)
    os.truncate(fam.path, MIB)
    wait_for(lambda: not sampling_threads())
    for ask in (watch.samples, watch.stop, watch.stop):
        with pytest.raises(TrafficError, match="truncated"):
            ask()
    assert changed(watch.counted) == {0: 1}


def test_a_file_truncated_before_the_last_look_is_an_error(fam: Fam) -> None:
    watch = SamplingThread(fam, interval=NEVER)
    watch.start()
    os.truncate(fam.path, MIB)
    with pytest.raises(TrafficError, match="truncated"):
        watch.stop()
    assert sampling_threads() == []


def test_an_error_of_the_caller_goes_before_one_of_the_watch(fam: Fam) -> None:
    with pytest.raises(ZeroDivisionError), SamplingThread(fam, interval=NEVER):
        os.truncate(fam.path, MIB)
        raise ZeroDivisionError
    assert sampling_threads() == []


def test_an_error_that_nobody_expects_is_carried_too(fam: Fam, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*arguments: object) -> int:
        raise MemoryError("none left")

    watch = SamplingThread(fam, interval=SOON)
    watch.start()
    fam.write(0, b"x")
    monkeypatch.setattr(os, "preadv", out_of_memory)
    wait_for(lambda: not sampling_threads())
    with pytest.raises(MemoryError, match="none left"):
        watch.stop()


def test_it_starts_once(fam: Fam) -> None:
    watch = SamplingThread(fam, interval=NEVER)
    with pytest.raises(TrafficError, match="not started"):
        watch.stop()
    with watch, pytest.raises(TrafficError, match="started before"):
        watch.start()
    with pytest.raises(TrafficError, match="started before"):
        watch.start()
    assert changed(watch.stop()) == {}


@pytest.mark.parametrize(
    "parameters",
    [
        {"interval": 0}, {"interval": -1}, {"interval": 4000}, {"interval": float("nan")},
        {"interval": "1"}, {"interval": True}, {"granule": 100}, {"window": (0, "64M")},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(fam: Fam, parameters: dict[str, object]) -> None:
    before = open_files()
    with pytest.raises(SpecError):
        SamplingThread(fam, **parameters)  # type: ignore[arg-type]
    assert open_files() == before


class ListedPages(DirtyPages):
    """A process with the dirty pages that it is given, a list a look; None where it is gone."""

    def __init__(self, *pages: list[int] | None) -> None:
        self._pages = list(pages)
        self.looked_at: list[Sequence[Extent]] = []
        self.cleared = 0
        self.closed = 0

    def clear(self) -> None:
        self.cleared += 1

    def stored(self, extents: Sequence[Extent]) -> npt.NDArray[np.int64]:
        self.looked_at.append(extents)
        pages = self._pages.pop(0)
        if pages is None:
            raise TrafficError("process 7 is gone")
        return np.array(pages, np.int64)

    def close(self) -> None:
        self.closed += 1


def test_authors_tell_who_stored(fam: Fam) -> None:
    one, two = ListedPages([0, 8192, 12288]), ListedPages([8192])
    watch = SamplingThread(fam, interval=NEVER, granule="8K", authors={"node01": one, "node02": two})
    watch.start()
    fam.write(8192, b"x")
    samples = watch.stop()
    by = samples.counts["changed_by"]
    assert by.dims == ("node", "granule")
    assert by["node"].values.tolist() == ["node01", "node02"]
    assert by["granule"].values.tolist() == [0, 8192]
    assert by.values.tolist() == [[1, 1], [0, 1]]
    # Stored unchanged, or in what was not looked at: no change for all that a node stored.
    assert samples.counts["changed"].values.tolist() == [0, 1]
    assert one.looked_at == [[(8192, 12288)]]
    assert (one.cleared, one.closed) == (1, 1)


def test_a_node_that_is_gone_keeps_its_counts_and_is_named(fam: Fam) -> None:
    dead, alive = ListedPages([0], None), ListedPages(*[[0]] * 1000)
    watch = SamplingThread(fam, interval=0.05, authors={"node01": dead, "node02": alive})
    watch.start()
    wait_for(lambda: bool(watch.counted.ended))
    samples = watch.stop()
    assert samples.ended == {"node01": "process 7 is gone"}
    assert samples.counts["changed_by"].sel(node="node01", granule=0) == 1
    assert samples.counts["changed_by"].sel(node="node02", granule=0) >= 2
    assert (dead.closed, alive.closed) == (1, 1)


def test_authors_tell_no_less_than_a_page(fam: Fam) -> None:
    with pytest.raises(SpecError, match="granule"):
        SamplingThread(fam, granule=64, authors={"node01": ListedPages()})
