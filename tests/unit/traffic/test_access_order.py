from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from made_traffic import Row, an_order

from fame_lab.errors import SpecError, TrafficError
from fame_lab.traffic.plots import access_order


def loads(offsets: Sequence[int]) -> list[Row]:
    return [(number, "node01", offset, "load", False) for number, offset in enumerate(offsets)]


def test_accesses_are_drawn_in_the_order_of_their_times(tmp_path: Path) -> None:
    rows: list[Row] = [
        (30, "node01", 128, "store", False),
        (10, "node01", 0, "load", False),
        (20, "node02", 4096, "load", False),
        (20, "node01", 64, "load", False),
        (40, "node01", 4096, "load", True),  # the rest of an access
    ]
    walk, sums = access_order.plot({"one": an_order(tmp_path / "a", rows)}, node="node01").axes
    stores, loaded = walk.lines[1], walk.lines[0]
    assert (loaded.get_xdata().tolist(), loaded.get_ydata().tolist()) == ([0, 1], [0, 1])  # type: ignore[union-attr]
    assert (stores.get_xdata().tolist(), stores.get_ydata().tolist()) == ([2], [2])  # type: ignore[union-attr]
    assert walk.get_title(loc="left") == "one: 3"
    assert sums.get_xscale() == "log"


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_several_orders_are_one_picture(tmp_path: Path, count: int) -> None:
    random = np.random.default_rng(1)
    orders = {
        f"number {n}": an_order(tmp_path / f"{n}", loads((8 * random.integers(0, 2048, 3000)).tolist()))
        for n in range(count)
    }
    assert access_order.plot(orders, node="node01")._repr_png_().startswith(b"\x89PNG")


def test_only_the_first_are_drawn_one_by_one_and_the_picture_says_so(tmp_path: Path) -> None:
    figure = access_order.plot(
        {"one": an_order(tmp_path / "a", loads(range(0, 800, 8)))}, node="node01", first=10
    )
    assert len(figure.axes[0].lines[0].get_xdata()) == 10  # type: ignore[arg-type]
    assert "the first 10" in figure.get_supxlabel()
    assert "none is missing" in figure.get_supxlabel()


def test_what_a_recording_lost_is_told(tmp_path: Path) -> None:
    order = an_order(tmp_path / "a", loads([0, 8]), lost=1234)
    assert "one lacks 1,234" in access_order.plot({"one": order}, node="node01").get_supxlabel()


def test_what_holds_no_order_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("no parquet")
    with pytest.raises(TrafficError, match="holds no accesses of node01 in their order"):
        access_order.plot({"other": other}, node="node01")
    with pytest.raises(TrafficError, match="holds no accesses of node01 in their order"):
        access_order.plot({"none": tmp_path / "none"}, node="node01")
    with pytest.raises(TrafficError, match="holds no accesses of node09"):
        access_order.plot({"one": an_order(tmp_path / "a", loads([0]))}, node="node09")


def test_a_node_that_accessed_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrafficError, match="node02 accessed nothing"):
        access_order.plot({"one": an_order(tmp_path / "a", loads([0]))}, node="node02")


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="from 1 to 8"):
        access_order.plot({}, node="node01")
    with pytest.raises(SpecError, match="first is 0"):
        access_order.plot({"one": tmp_path / "a"}, node="node01", first=0)
