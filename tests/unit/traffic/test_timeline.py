from pathlib import Path

import numpy as np
import pytest

from fame_lab.errors import TrafficError
from fame_lab.spec.fam_layout import CONTROL_SIZE
from fame_lab.spec.lab_spec import LabSpec
from fame_lab.traffic.trace.counter_layout import TALLY, CounterLayout
from fame_lab.traffic.trace.counters import Counters
from fame_lab.traffic.trace.dataset import dataset
from fame_lab.traffic.trace.timeline import Timeline
from fame_lab.traffic.traffic import Traffic


def count(counters: Counters, book: int, loads: int) -> None:
    with counters.path.open("r+b") as file:
        file.seek(counters.layout.books_at + book * TALLY.itemsize)
        file.write(np.array([(loads, 0, 8 * loads, 0)], TALLY).tobytes())


@pytest.mark.parametrize(
    "spec",
    [
        LabSpec("plain", fam="64M"),
        LabSpec("many-books", fam="4G"),
        LabSpec("small-books", fam="256M", book="64K"),
        LabSpec("books-in-the-control-area", fam="1M", nodes=20),
    ],
    ids=lambda spec: spec.name,
)
def test_what_a_timeline_saw_is_traffic_whatever_the_books(spec: LabSpec, tmp_path: Path) -> None:
    layout = CounterLayout(spec.fam_size, spec.books.book, 2)
    counters = {}
    for name in spec.node_names:
        Counters.create(tmp_path / name, layout)
        counters[name] = Counters(tmp_path / name, layout)
    timeline = Timeline(spec, counters, 0.05)
    timeline.start()
    count(counters["node02"], 1, 7)
    timeline.stop()
    traffic = Traffic(
        counts=dataset({name: each.granules(4096) for name, each in counters.items()}, 4096, spec.fam_size),
        timeline=timeline.dataset(),
        spec=spec.to_dict(),
        source="trace",
        window=(0, spec.fam_size - CONTROL_SIZE),
        manifest={},
    )
    accesses = traffic.timeline["accesses"].sel(op="load", node="node02", bin=spec.books.book)
    assert int(accesses.sum()) == int(traffic.timeline["accesses"].sum()) == 7


def test_counts_that_fall_are_an_error(tmp_path: Path) -> None:
    spec = LabSpec("falling", nodes=1, fam="1M")
    layout = CounterLayout(spec.fam_size, spec.books.book, 1)
    Counters.create(tmp_path / "node01", layout)
    counters = Counters(tmp_path / "node01", layout)
    count(counters, 0, 7)
    timeline = Timeline(spec, {"node01": counters}, 0.05)
    count(counters, 0, 6)
    timeline.start()
    timeline.stop()
    with pytest.raises(TrafficError, match="counts fell"):
        timeline.dataset()
