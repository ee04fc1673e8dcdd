"""Transactions on real nodes: known by hand where commands order the steps, lawful where nodes poll."""

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from fabric_engine import break_record
from guest_program import compiled
from leftovers import leftovers, qemu_processes
from reference_caches import ReferenceCaches
from waiting import wait_for

from fame_lab import Cache, FabricModel, Lab, LabSpec, Traffic
from fame_lab.errors import FameError, SpecError, TrafficError
from fame_lab.traffic.recording import Recording

pytestmark = pytest.mark.vm

KIB, MIB = 1 << 10, 1 << 20
LINE = 64
#: 64 sets of 4 ways.
SMALL = Cache("16K", ways=4)
WALK = "/tmp/walk"  # noqa: S108 - in the guest
FOUR = [0, 1, 2, 3]


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory, qemu: str) -> Iterator[Lab]:
    name = f"carries-{os.getpid()}"
    with Lab(LabSpec(name, nodes=4, fam="64M", trace=True, qemu=qemu), progress=False) as lab:
        program = compiled("walk", tmp_path_factory.mktemp("program"))
        for node in lab.nodes:
            node.put(program, WALK, mode=0o755)
        yield lab
    assert leftovers(name) == []


def walk(lab: Lab, node: int, kind: str, offset: int, lines: int = 1, times: int = 1) -> None:
    lab.nodes[node].run(f"{WALK} {kind} {offset} {LINE} {lines} {times}")


def kinds(recording: Recording, node: int) -> dict[str, int]:
    """Return the transactions and misses of a node that are not 0."""
    counts: dict[str, int] = {}
    for values in (recording.transactions(), recording.misses()):
        of_node = values.isel(initiator=node).sum("home")
        counts |= {
            str(name): int(count)
            for name, count in zip(of_node[of_node.dims[0]].values, of_node.values, strict=True)
        }
    return {name: count for name, count in counts.items() if count}


def total(recording: Recording, name: str) -> list[int]:
    caches = recording.traffic().caches
    assert caches is not None
    values: list[int] = caches[name].values.tolist()
    return values


def test_a_working_set_that_fits_is_filled_once(four: Lab) -> None:
    with four.record(cache=SMALL) as recording:
        walk(four, 0, "load", 0, lines=128, times=3)
        walk(four, 1, "store", MIB, lines=128, times=3)
    assert kinds(recording, 0) == {"fill": 128, "cold": 128}
    assert kinds(recording, 1) == {"fill_ownership": 128, "cold": 128}
    assert total(recording, "line_accesses") == [384, 384, 0, 0]
    assert total(recording, "resident") == [128, 128, 0, 0]
    assert total(recording, "resident_dirty") == [0, 128, 0, 0]


def test_a_working_set_that_does_not_fit_is_filled_again_and_written_back(four: Lab) -> None:
    # Twice as many lines as there is room for, in order: the least recently used is always the next.
    with four.record(cache=SMALL) as recording:
        walk(four, 0, "load", 0, lines=512, times=3)
        walk(four, 1, "store", MIB, lines=512, times=3)
    assert kinds(recording, 0) == {"fill": 1536, "cold": 512, "capacity": 1024}
    assert kinds(recording, 1) == {"fill_ownership": 1536, "cold": 512, "capacity": 1024, "write_back": 1280}
    assert total(recording, "evictions") == [1280, 1280, 0, 0]
    assert total(recording, "resident_dirty") == [0, 256, 0, 0]


@pytest.mark.newer_qemu
def test_lines_are_taken_back_and_forth(four: Lab) -> None:
    with four.record(cache=SMALL) as recording:
        for _ in range(3):
            walk(four, 0, "store", 0, lines=10)
            walk(four, 1, "store", 0, lines=10)
    assert kinds(recording, 0) == {
        "fill_ownership": 10, "forward": 20, "invalidate": 20, "cold": 10, "coherence": 20,
    }  # fmt: skip
    assert kinds(recording, 1) == {"forward": 30, "invalidate": 30, "cold": 10, "coherence": 20}
    assert recording.invalidations().values[:2, :2].tolist() == [[0, 20], [30, 0]]
    assert total(recording, "losses") == [30, 20, 0, 0]
    assert total(recording, "resident") == [0, 10, 0, 0]
    assert recording.false_sharing().empty


def test_false_sharing_is_found_with_the_bytes_of_each(four: Lab) -> None:
    with four.record(cache=SMALL) as recording:
        for _ in range(2):
            for node in FOUR:
                walk(four, node, "store", 40 * MIB + 8 * node)
    rows = recording.false_sharing()
    assert rows[["offset", "home", "sharing"]].drop_duplicates().values.tolist() == [[40 * MIB, "node03", 0]]
    assert rows[["victim", "takers", "victim_bytes", "takers_bytes", "false_sharing"]].values.tolist() == [
        # When a node notices its loss, the line says who took it last.
        ["node01", "node04", "0-7", "24-31", 2],
        ["node02", "node01, node04", "8-15", "0-7, 24-31", 2],
        ["node03", "node02, node04", "16-23", "8-15, 24-31", 2],
        ["node04", "node03", "24-31", "16-23", 1],
    ]


def test_what_all_read_is_shared_until_one_stores(four: Lab) -> None:
    with four.record(cache=SMALL) as recording:
        for node in FOUR:
            walk(four, node, "load", 0, lines=64)
        walk(four, 0, "store", 0, lines=64)
        walk(four, 2, "load", 0, lines=64)
    assert kinds(recording, 0) == {"fill": 64, "upgrade": 64, "invalidate": 192, "write_back": 64, "cold": 64}
    assert kinds(recording, 1) == {"fill": 64, "cold": 64}
    assert kinds(recording, 2) == {"fill": 64, "forward": 64, "cold": 64, "coherence": 64}
    assert recording.invalidations().values[0].tolist() == [0, 64, 64, 64]


def test_without_coherence_no_cache_knows_of_another(four: Lab) -> None:
    with four.record(cache=Cache("16K", ways=4, coherence="software")) as recording:
        for _ in range(3):
            walk(four, 0, "store", 0, lines=10)
            walk(four, 1, "store", 0, lines=10)
        walk(four, 0, "load", MIB, lines=512)
    assert kinds(recording, 0) == {"fill": 522, "cold": 522, "write_back": 10}
    assert kinds(recording, 1) == {"fill": 10, "cold": 10}
    assert total(recording, "resident_dirty") == [0, 10, 0, 0]


@pytest.mark.newer_qemu
def test_a_locked_instruction_asks_for_ownership_at_once(four: Lab) -> None:
    with four.record(cache=SMALL) as recording:
        walk(four, 0, "add", 0, lines=5, times=2)
        walk(four, 1, "add", 0, lines=5, times=2)
    assert kinds(recording, 0) == {"fill_ownership": 5, "cold": 5}
    assert kinds(recording, 1) == {"forward": 5, "invalidate": 5, "cold": 5}


@pytest.mark.newer_qemu
def test_atomics_in_memory_go_to_the_home_and_leave_no_copy(four: Lab) -> None:
    with four.record(cache=Cache("16K", ways=4, atomics="memory")) as recording:
        walk(four, 0, "store", 0)
        walk(four, 1, "add", 0, times=7)
        walk(four, 0, "load", 0)
    assert kinds(recording, 0) == {"fill_ownership": 1, "write_back": 1, "fill": 1, "cold": 1, "coherence": 1}
    assert kinds(recording, 1) == {"atomic": 7, "invalidate": 1}


def test_one_nodes_transactions_follow_from_its_accesses_in_their_order(four: Lab, tmp_path: Path) -> None:
    with four.record(cache=SMALL, granule=64, order=tmp_path / "order.parquet") as recording:
        four.probe("workloads", workloads="zipf", nodes=[0], size="64K", operations=4096)
    rows = pyarrow.parquet.read_table(tmp_path / "order.parquet").to_pylist()
    assert recording.traffic().manifest["order"]["lost"]["node01"] == 0
    reference = ReferenceCaches(4, SMALL.sets, SMALL.ways)
    reference.run((0, row["offset"], row["size"], row["op"]) for row in rows if row["node"] == "node01")
    counts = Counter[str]()
    for (what, _, _), count in reference.counts.items():
        counts[what] += count
    expected = {name: counts[name] for name in kinds(recording, 0)}
    assert kinds(recording, 0) == expected and expected["capacity"] > 100


def test_nodes_that_poll_keep_the_conservation_laws(four: Lab) -> None:
    with four.record(cache=SMALL) as recording:
        four.probe("ring", batches=30)
        live = recording.transactions().sum()
    assert 0 < live <= recording.transactions().sum()
    names = ("evictions", "losses", "drops", "resident")
    gone = [sum(counts) for counts in zip(*(total(recording, name) for name in names), strict=True)]
    transactions = recording.transactions().sum("home")
    brought = transactions.sel(kind=["fill", "fill_ownership", "forward"]).sum("kind")
    assert brought.values.tolist() == gone == recording.misses().sum(("home", "cause")).values.tolist()
    taken = recording.invalidations()
    assert taken.sum("initiator").values.tolist() == total(recording, "losses")
    assert taken.sum("victim").values.tolist() == transactions.sel(kind="invalidate").values.tolist()
    over_time = recording.traffic().timeline["transactions"].sum(("time", "bin"))
    assert (over_time.values == transactions.values).all()


def test_it_is_saved_and_loaded_with_its_cache(four: Lab, tmp_path: Path) -> None:
    with four.record(cache=SMALL, granule=64) as recording:
        walk(four, 0, "store", 0, lines=3)
        walk(four, 1, "load", 0, lines=3)
    recording.save(tmp_path / "saved")
    loaded = Traffic.load(tmp_path / "saved")
    assert loaded.cache == SMALL
    assert loaded.transactions().identical(recording.transactions())
    assert loaded.heat("transactions").sel(kind="forward", node="node02").values.tolist() == [1, 1, 1]
    caches = recording.traffic().caches
    assert loaded.caches is not None and caches is not None and loaded.caches.identical(caches)


def test_a_recording_leaves_no_room_taken_and_the_next_begins_with_empty_caches(four: Lab) -> None:
    for _ in range(2):
        with four.record(cache=SMALL) as recording:
            walk(four, 0, "load", 0, lines=10)
        assert kinds(recording, 0) == {"fill": 10, "cold": 10}
        directory = four.line_directory()
        assert directory.path.stat().st_blocks * 512 <= 4096
        directory.close()
    with four.record() as recording:
        walk(four, 0, "load", 0, lines=10)
    assert recording.traffic().caches is None
    with pytest.raises(TrafficError, match="recorded without a cache"):
        recording.transactions()


def test_a_directory_that_cannot_be_is_an_error_and_the_counts_of_accesses_stay(four: Lab) -> None:
    recording = four.record(cache=SMALL).start()
    walk(four, 0, "store", 0, lines=3)
    break_record(four.line_directory())
    with pytest.raises(TrafficError, match="record of the line at 0x0 cannot be"):
        recording.stop()
    assert recording.matrix().sum() == 3
    assert recording.traffic().caches is None
    with four.record(cache=SMALL) as recording:
        walk(four, 0, "store", 0, lines=3)
    assert kinds(recording, 0) == {"fill_ownership": 3, "cold": 3}


@pytest.mark.newer_qemu
def test_each_miss_waits_once_and_never_less_than_it_should(four: Lab) -> None:
    model = FabricModel(local_ns=100, remote_ns=300, link_gbps=64)
    with four.record(cache=SMALL, fabric=model, dilation=100) as recording:
        assert four.manifest()["felt"] == "felt ×100 (figures as given)"  # noqa: RUF001
        walk(four, 0, "load", 0, lines=128, times=3)
        walk(four, 1, "store", 0, lines=20)
    assert "felt" not in four.manifest()
    assert total(recording, "waits") == [128, 20, 0, 0]
    asked, done = total(recording, "wait_asked"), total(recording, "wait_done")
    assert asked[0] == 128 * 10_000
    # 300 ns and the line's 8 on the links, which are free when one line comes after the other.
    assert asked[1] == 20 * 100 * (300 + 8)
    assert all(b >= a for a, b in zip(asked, done, strict=True))
    assert recording.traffic().manifest["felt_fabric"]["dilation"] == 100


def test_a_dilation_that_cannot_be_felt_is_refused_with_the_least_that_can(four: Lab) -> None:
    model = FabricModel(local_ns=0.5, remote_ns=300, link_gbps=64)
    recording = four.record(cache=SMALL, fabric=model, dilation=1)
    with pytest.raises(SpecError, match="is not felt, as an access takes") as refused:
        recording.start()
    least = int(str(refused.value.hint).split()[1])
    with four.record(cache=SMALL, fabric=model, dilation=10 * least) as recording:
        walk(four, 0, "load", 0)
    assert total(recording, "waits") == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"cache": Cache("128M")}, "larger than FAM"),
        ({"cache": "16K"}, "cache is '16K'"),
        ({"cache": SMALL, "source": "samples"}, "samples see no accesses"),
        ({"fabric": FabricModel.pond()}, "misses of a cache"),
        ({"cache": SMALL, "dilation": 10}, "no fabric is given"),
        ({"cache": SMALL, "fabric": FabricModel.pond(), "dilation": 0.5}, "dilation is 0.5"),
        ({"cache": SMALL, "fabric": "pond"}, "fabric is 'pond'"),
        (
            {"cache": SMALL, "fabric": FabricModel.the_machine(3, local_ns=1, hop_ns=1, link_gbps=1)},
            "hops are of 3 nodes",
        ),
    ],
)
def test_what_cannot_be_recorded_is_refused_before_anything_runs(
    four: Lab, parameters: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(FameError, match=re.escape(complaint)):
        four.record(**parameters)


def test_a_node_that_dies_keeps_its_transactions_and_loses_its_lines(tmp_path: Path) -> None:
    with Lab(LabSpec("mortals", nodes=2, fam="1M", trace=True), progress=False) as lab:
        for node in lab.nodes:
            node.put(compiled("walk", tmp_path), WALK, mode=0o755)
        with lab.record(cache=SMALL) as recording:
            walk(lab, 1, "store", 0, lines=3)
            for pid in qemu_processes("mortals"):
                if b"fame-mortals-node02" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
            wait_for(lambda: lab.nodes[1].state == "gone")
            recording.traffic()
            walk(lab, 0, "load", 0, lines=3)
    assert kinds(recording, 0) == {"fill": 3, "cold": 3}
    assert kinds(recording, 1) == {"fill_ownership": 3, "cold": 3}
    assert total(recording, "resident") == [3, 0]
    assert list(recording.traffic().ended) == ["node02"]
    assert leftovers("mortals") == []
