"""Felt distance: each miss waits once, for its home and its links, and never less than it should."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from fabric_engine import FabricEngine

from fame_lab import Cache, FabricModel, SpecError
from fame_lab.spec.fam_layout import MAX_NODES, Books
from fame_lab.traffic.shared_file import HEADER_SIZE
from fame_lab.traffic.transactions.felt import FeltFabric
from fame_lab.traffic.transactions.layout import FABRIC, DirectoryLayout

FAM, BOOK, NODES = 1 << 20, 64 << 10, 3
MODEL = FabricModel(local_ns=50, remote_ns=300, link_gbps=64)  # a line takes 8 ns of a link


def engine(path: Path, model: FabricModel, dilation: float, *, interleaved: bool = False) -> FabricEngine:
    layout = DirectoryLayout(FAM, BOOK, NODES, interleaved)
    made = FabricEngine(path / "lines", layout, Cache("4K"))
    made.begin(Cache("4K"), FeltFabric(model, dilation))
    return made


@pytest.mark.parametrize("interleaved", [False, True])
def test_a_miss_waits_for_the_home_that_books_have(tmp_path: Path, interleaved: bool) -> None:
    made = engine(tmp_path, MODEL, 10, interleaved=interleaved)
    books = Books(FAM, BOOK, NODES, "interleaved" if interleaved else "contiguous")
    asked = 0
    for book in range(books.count - 1):  # the last one is the control area
        made.run([(1, book * BOOK, 8, "load"), (1, book * BOOK + 8, 8, "load")])
        asked += 10 * (50 if books.home(book * BOOK) == 1 else 300 + 8)
        assert made.directory.totals(1)["asked_ns"] == asked
    assert made.directory.totals(1)["waits"] == books.count - 1


def test_a_wait_is_never_less_than_it_should_be(tmp_path: Path) -> None:
    made = engine(tmp_path, MODEL, 30)
    made.run([(node, line * 64, 8, "store") for line in range(200) for node in range(NODES)])
    for node in range(NODES):
        totals = made.directory.totals(node)
        assert totals["waits"] == 200
        assert totals["waited_ns"] >= totals["asked_ns"] >= 200 * 30 * 50


def test_hits_and_upgrades_wait_for_nothing(tmp_path: Path) -> None:
    made = engine(tmp_path, MODEL, 10)
    made.run([(0, 0, 8, "load"), (1, 0, 8, "load"), (0, 0, 8, "store"), (0, 0, 8, "load")])
    assert [made.directory.totals(node)["waits"] for node in range(NODES)] == [1, 1, 0]


@pytest.mark.parametrize("link", [1, MAX_NODES])  # the inward one of node02, the outward one of node01
def test_a_link_that_is_taken_is_waited_for(tmp_path: Path, link: int) -> None:
    made = engine(tmp_path, FabricModel(local_ns=1, remote_ns=1, link_gbps=64), 10)
    path, at = made.directory.path, HEADER_SIZE + FABRIC.itemsize + link * 64
    start = int.from_bytes(read(path, HEADER_SIZE), "little")
    free = (time.monotonic_ns() + 1_000_000_000 - start) * 1000
    with path.open("r+b") as file:
        file.seek(at)
        file.write(free.to_bytes(8, "little"))
    made.run([(1, 0, 8, "load")])
    # The line begins when the link is free, and takes it for 10 times 8 ns.
    assert int.from_bytes(read(path, at), "little") == free + 80_000
    assert start * 1000 + free + 80_000 <= time.monotonic_ns() * 1000


def read(path: Path, at: int) -> bytes:
    with path.open("rb") as file:
        file.seek(at)
        return file.read(8)


@pytest.mark.parametrize("dilation", [0, 0.9, -1, 1e6, float("nan"), "10", True, None])
def test_a_dilation_that_is_none_is_refused(dilation: Any) -> None:
    with pytest.raises(SpecError, match="dilation is"):
        FeltFabric(MODEL, dilation)


def test_the_smallest_dilation_that_is_felt_is_named_and_is_felt() -> None:
    with pytest.raises(SpecError, match="is not felt, as an access takes 333 ns") as refused:
        FeltFabric(MODEL, 2).check_felt(NODES, 333)
    assert refused.value.hint == "give 7 or more"
    FeltFabric(MODEL, 7).check_felt(NODES, 333)


def test_its_label_and_its_fields_can_be_kept() -> None:
    felt = FeltFabric(FabricModel.pond(), 10)
    assert felt.describe() == "felt ×10 (figures of Li et al., ASPLOS 2023; PCIe 5.0 x8)"  # noqa: RUF001
    assert FeltFabric(MODEL, 2.5).describe() == "felt ×2.5 (figures as given)"  # noqa: RUF001
    assert json.loads(json.dumps(felt.to_dict()))["model"]["remote_ns"] == 142
