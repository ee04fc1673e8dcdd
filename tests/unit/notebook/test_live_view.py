import base64
import io
import threading
import time
from typing import Any

import matplotlib.image
import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from waiting import wait_for

from fame_lab.core.kernel_env import RUN_VARIABLE
from fame_lab.errors import SpecError, TrafficError
from fame_lab.notebook.live_view import LiveView, StillView, draw
from fame_lab.results.notebook_figure import png
from fame_lab.spec.fam_layout import Books
from fame_lab.traffic.recording import Recording
from fame_lab.traffic.snapshot import Snapshot
from fame_lab.traffic.traffic import Traffic


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

    def glance(self) -> Snapshot:
        self.looks += 1
        matrix = np.full((2, 2, 2), self.looks, np.uint64)
        return Snapshot(("node01", "node02"), matrix, np.full((2, 8), self.looks, np.uint64), 4096)


def test_the_picture_follows_the_recording_and_stays_when_it_stops() -> None:
    recording = Made()
    view = recording.live(every=0.1)
    assert isinstance(view, LiveView)
    first = view.picture.value
    wait_for(lambda: view.picture.value != first)
    assert view.status.value == "running"
    recording.stop()
    wait_for(lambda: view.status.value == "stopped")
    wait_for(lambda: not view._thread.is_alive())
    assert view.picture.value[1:4] == b"PNG"
    assert view.pause.disabled


def test_a_pause_keeps_the_picture_and_its_end_goes_on() -> None:
    recording = Made()
    view = recording.live(every=0.1)
    view.pause.value = True
    wait_for(lambda: view.status.value == "paused")
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
    children, threads = len(view.children), threading.active_count()
    wait_for(lambda: recording.looks > 5)
    assert len(view.children) == children
    assert threading.active_count() <= threads  # another test's may have ended meanwhile
    view.close()


def test_a_notebook_that_shows_it_has_a_picture_and_can_be_saved() -> None:
    view = Made().live(every=60)
    bundle = view._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    cell = nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("display_data", data)])
    nbformat.validate(nbformat.v4.new_notebook(cells=[cell]))
    assert base64.b64decode(data["image/png"]) == view.picture.value
    view.close()


def test_a_stop_is_shown_at_once_however_slow_the_pace() -> None:
    recording = Made()
    view = recording.live(every=60)
    first = view.picture.value
    recording.stop()
    wait_for(lambda: view.status.value == "stopped")
    assert view.picture.value != first


def test_what_is_shown_before_it_starts_follows_it_when_it_does() -> None:
    recording = Made()
    recording._running = False
    glance, recording.glance = recording.glance, never_started  # type: ignore[method-assign]
    view = recording.live(every=0.1)
    time.sleep(0.5)
    assert view.status.value == "<b>never</b> started".replace("<", "&lt;").replace(">", "&gt;")
    assert view.picture.layout.display == "none" and not view.pause.disabled
    recording._running, recording.glance = True, glance  # type: ignore[method-assign]
    wait_for(lambda: view.status.value == "running")
    assert view.picture.layout.display is None
    view.close()


def never_started() -> Snapshot:
    raise TrafficError("<b>never</b> started")


def test_a_view_that_is_closed_closes_all_that_it_shows() -> None:
    view = Made().live(every=60)
    widgets = [view, *view.children, *view.children[0].children]
    view.close()
    assert [widget.comm for widget in widgets] == [None] * 5
    wait_for(lambda: not view._thread.is_alive())


def test_an_executed_notebook_gets_a_still_that_is_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs: list[Any] = []

    class Handle:
        def update(self, data: Any, **_: Any) -> None:
            outputs.append(data)

    def display(data: Any, **_: Any) -> Handle:
        outputs.append(data)
        return Handle()

    monkeypatch.setenv(RUN_VARIABLE, "run")
    monkeypatch.setattr("IPython.display.display", display)
    recording = Made()
    view = recording.live()
    assert isinstance(view, StillView)
    view._ipython_display_()
    recording.stop()
    assert [sorted(each) for each in outputs] == [["image/png", "text/plain"]] * 2
    assert outputs[0] != outputs[1]


@pytest.mark.parametrize("every", [0, 0.01, 61, True, "fast"])
def test_a_pace_that_cannot_be_is_refused(every: Any) -> None:
    with pytest.raises(SpecError, match="every is"):
        Made().live(every=every)


@pytest.mark.parametrize("nodes", [1, 4, 40])
@pytest.mark.parametrize("source", ["trace", "samples"])
def test_a_glance_is_drawn_for_few_nodes_and_for_many(nodes: int, source: str) -> None:
    names = tuple(f"node{number + 1:02}" for number in range(nodes))
    books = Books(512 << 20, 8 << 20, nodes, "contiguous")
    matrix = np.eye(nodes, dtype=np.uint64)[np.newaxis].repeat(2, 0) * np.uint64(1000)
    rows = nodes if source == "trace" else 1
    heat = np.ones((rows, books.count), np.uint64)
    glance = Snapshot(names, matrix if source == "trace" else None, heat, books.book)
    # Nothing is cut: the picture has a white edge all around.
    picture = matplotlib.image.imread(io.BytesIO(draw(glance, source)))
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert edge.min() == 1


@pytest.mark.parametrize("nodes", [1, 2, 40])
def test_a_third_matrix_has_the_lines_that_moved_and_no_title_meets_another(
    nodes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []

    def keep(figure: Figure) -> bytes:
        drawn.append(figure)
        return png(figure)

    monkeypatch.setattr("fame_lab.notebook.live_view.png", keep)
    names = tuple(f"node{number + 1:02}" for number in range(nodes))
    matrix = np.full((2, nodes, nodes), 987_654_321, np.uint64)
    heat = np.ones((nodes, 8), np.uint64)
    picture = draw(Snapshot(names, matrix, heat, 4096, lines=matrix[0]), "trace")
    edges = matplotlib.image.imread(io.BytesIO(picture))
    assert min(edges[0].min(), edges[-1].min(), edges[:, 0].min(), edges[:, -1].min()) == 1
    (figure,) = drawn
    titles = [axes.title for axes in figure.axes[:3]]
    assert [title.get_text().split(":")[0] for title in titles] == ["loads", "stores", "lines moved"]
    boxes = [title.get_window_extent() for title in titles]
    assert boxes[0].x1 < boxes[1].x0 and boxes[1].x1 < boxes[2].x0
    assert "lines: through modelled caches" in figure.texts[0].get_text()


def test_without_a_cache_nothing_is_said_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr("fame_lab.notebook.live_view.png", drawn.append)
    draw(Made().glance(), "trace")
    assert len(drawn[0].axes) == 3
    assert "modelled" not in drawn[0].texts[0].get_text()
