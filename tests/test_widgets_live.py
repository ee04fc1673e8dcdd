import threading
import time
from typing import Any

import numpy as np
import pytest

from fame_lab.errors import SpecError
from fame_lab.hosting import RUN_VARIABLE
from fame_lab.layout import Books
from fame_lab.traffic.glance import Glance
from fame_lab.traffic.recording import Recording
from fame_lab.traffic.traffic import Traffic
from fame_lab.widgets.live import LiveView, StillView, draw


class Made(Recording):
    """A recording that counts as it is looked at."""

    source = "trace"

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self._running = True

    @property
    def running(self) -> bool:
        return self._running

    def start(self) -> Any:
        return self

    def stop(self) -> Any:
        self._running = False
        self._has_stopped()

    def traffic(self) -> Traffic:
        raise NotImplementedError

    def glance(self) -> Glance:
        self.looks += 1
        matrix = np.full((2, 2, 2), self.looks, np.uint64)
        return Glance(("node01", "node02"), matrix, np.full((2, 8), self.looks, np.uint64), 4096)


def wait_for(what: Any) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_picture_follows_the_recording_and_stays_when_it_stops() -> None:
    recording = Made()
    view = recording.live(every=0.1)
    assert isinstance(view, LiveView)
    first = view.picture.value
    wait_for(lambda: view.picture.value != first)
    recording.stop()
    wait_for(lambda: view.status.value == "stopped")
    wait_for(lambda: not view._thread.is_alive())
    assert view.picture.value[1:4] == b"PNG"
    assert view.pause.disabled


def test_a_pause_keeps_the_picture_and_its_end_goes_on() -> None:
    recording = Made()
    view = recording.live(every=0.1)
    view.pause.value = True
    time.sleep(0.5)
    looks = recording.looks
    time.sleep(0.5)
    assert recording.looks == looks
    view.pause.value = False
    wait_for(lambda: recording.looks > looks)
    view.close()
    wait_for(lambda: not view._thread.is_alive())


def test_one_picture_is_kept_and_no_more() -> None:
    recording = Made()
    view = recording.live(every=0.1)
    before = len(view.children), threading.active_count()
    wait_for(lambda: recording.looks > 5)
    assert (len(view.children), threading.active_count()) == before
    bundle = view._repr_mimebundle_()
    assert "image/png" in (bundle[0] if isinstance(bundle, tuple) else bundle)
    view.close()


def test_an_executed_notebook_gets_a_still_that_is_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []

    class Handle:
        def update(self, data: Any, **_: Any) -> None:
            shown.append(data)

    def display(data: Any, **_: Any) -> Handle:
        shown.append(data)
        return Handle()

    monkeypatch.setenv(RUN_VARIABLE, "run")
    monkeypatch.setattr("IPython.display.display", display)
    recording = Made()
    view = recording.live()
    assert isinstance(view, StillView)
    view._ipython_display_()
    recording.stop()
    assert [sorted(each) for each in shown] == [["image/png", "text/plain"]] * 2
    assert shown[0] != shown[1]


@pytest.mark.parametrize("every", [0, 0.01, 61, True, "fast"])
def test_a_pace_that_cannot_be_is_refused(every: Any) -> None:
    with pytest.raises(SpecError, match="every is"):
        Made().live(every=every)


@pytest.mark.parametrize("nodes", [1, 4, 40])
@pytest.mark.parametrize("source", ["trace", "samples"])
def test_a_glance_is_drawn_for_few_nodes_and_for_many(nodes: int, source: str) -> None:
    names = tuple(f"node{number + 1:02}" for number in range(nodes))
    books = Books(1 << 30, 8 << 20, nodes, "contiguous")
    matrix = np.eye(nodes, dtype=np.uint64)[np.newaxis].repeat(2, 0) * np.uint64(1000)
    rows = nodes if source == "trace" else 1
    heat = np.zeros((rows, books.count), np.uint64)
    glance = Glance(names, matrix if source == "trace" else None, heat, books.book)
    assert draw(glance, source)[1:4] == b"PNG"
