"""The tab of recordings, with a lab that only notes what it is asked to record."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from made_traffic import a_cached_trace, a_spec
from waiting import wait_for

from fame_lab import Cache, Traffic
from fame_lab.notebook.traffic_tab import TrafficTab
from fame_lab.traffic.recording import Recording
from fame_lab.traffic.snapshot import Snapshot, of_traffic

TRAFFIC = a_cached_trace([(0, 0, 8, "store"), (1, 0, 8, "load")])


class Made(Recording):
    source = "trace"
    _running = False

    @property
    def running(self) -> bool:
        return self._running

    def start(self) -> Any:
        self._running = True
        return self

    def stop(self) -> Any:
        self._running = False
        self._has_stopped()

    def traffic(self) -> Traffic:
        return TRAFFIC

    def glance(self) -> Snapshot:
        return of_traffic(TRAFFIC)


class MadeLab:
    def __init__(self, **fields: Any) -> None:
        self.spec = a_spec(**{"trace": True} | fields)
        self.asked: list[dict[str, Any]] = []

    def record(self, **arguments: Any) -> Recording:
        self.asked.append(arguments)
        return Made()


@pytest.fixture
def lab() -> MadeLab:
    return MadeLab()


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def tab(lab: Any, notes: list[str]) -> Iterator[TrafficTab]:
    tab = TrafficTab(lambda: lab, notes.append)
    yield tab
    tab.stop()


@pytest.mark.parametrize(
    ("size", "why"),
    [
        ("3K", "size is &#39;3K&#39;: 3 sets of 16 ways: give 2K or 4K"),
        ("big", "size is &#39;big&#39;"),
        ("0", "give 1K or 2K"),
        ("128M", "cache is 128M, larger than FAM: FAM is 64M"),
    ],
)
def test_a_cache_that_cannot_be_is_refused_with_its_reason(tab: TrafficTab, size: str, why: str) -> None:
    tab.cache.value = size
    assert tab.record.disabled
    assert why in tab.status.value
    tab.cache.value = "1M"
    assert not tab.record.disabled
    assert why not in tab.status.value


@pytest.mark.parametrize(("fields", "source"), [({"trace": False}, "auto"), ({}, "samples")])
def test_a_cache_without_a_trace_is_refused(fields: dict[str, Any], source: str) -> None:
    made: Any = MadeLab(**fields)
    tab = TrafficTab(lambda: made, lambda _: None)
    tab.source.value = source
    assert not tab.record.disabled
    tab.cache.value = "1M"
    assert tab.record.disabled
    assert "a cache takes a trace" in tab.status.value
    tab.stop()


def test_a_cache_is_passed_on_and_what_carries_it_is_drawn(
    tab: TrafficTab, lab: MadeLab, notes: list[str]
) -> None:
    tab.cache.value = " 1M "
    tab.record.click()
    wait_for(lambda: not tab.stop_button.disabled)
    assert lab.asked == [{"source": "auto", "granule": "4K", "cache": Cache("1M")}]
    (line,) = [note for note in notes if note.startswith("lab.record(")]
    names = {
        "lab": SimpleNamespace(record=lambda **words: SimpleNamespace(start=lambda: words)),
        "Cache": Cache,
    }
    assert eval(line, names) == lab.asked[0]  # noqa: S307 - it is our own line, to be repeated
    tab.stop_button.click()
    wait_for(lambda: tab.picture.layout.display is None)
    assert tab.traffic is TRAFFIC
    assert bytes(tab.picture.value[1:4]) == b"PNG"


def test_without_a_cache_none_is_passed_on(tab: TrafficTab, lab: MadeLab) -> None:
    tab.record.click()
    wait_for(lambda: not tab.stop_button.disabled)
    assert lab.asked == [{"source": "auto", "granule": "4K"}]
