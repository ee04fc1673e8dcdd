"""Traces on real nodes: counted to the last access."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from guest_program import compiled
from leftovers import leftovers, qemu_processes
from repository import ROOT

from fame_lab import Lab, LabSpec
from fame_lab.errors import HostError, SpecError, TrafficError
from fame_lab.host.libvirt.domain import Domain
from fame_lab.host.trace_plugin import addresses_blocks
from fame_lab.traffic.trace.counters import Counters
from fame_lab.traffic.trace.ring_buffer import CAPACITY
from fame_lab.traffic.traffic import Traffic

pytestmark = pytest.mark.vm

KIB, MIB = 1 << 10, 1 << 20
OPS = ("load", "store")
PROGRAM = "/tmp/accesses"  # noqa: S108 - in the guest
#: The tables of docs/traffic.md, of QEMU 7.2 and what differs from 8.2 on: for each kind of access, ten
#: times, the loads, stores, bytes loaded and bytes stored.
OLDER, DIFFERENT = (
    {
        match[1]: tuple(map(int, match[2].split(" | ")))
        for match in re.finditer(r"^\| `(\w+)` \| (\d+ \| \d+ \| \d+ \| \d+) \|", part, re.MULTILINE)
    }
    for part in (ROOT / "docs/traffic.md").read_text().split("From 8.2 on")
)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, qemu: str) -> Iterator[Lab]:
    name = f"traced-{os.getpid()}"
    with Lab(LabSpec(name, nodes=2, fam="64M", trace=True, qemu=qemu), progress=False) as lab:
        program = compiled("accesses", tmp_path_factory.mktemp("program"))
        for node in lab.nodes:
            node.put(program, PROGRAM, mode=0o755)
        yield lab
    assert leftovers(name) == []


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory, qemu: str) -> Iterator[Lab]:
    name = f"four-{os.getpid()}"
    with Lab(LabSpec(name, nodes=4, fam="64M", trace=True, qemu=qemu), progress=False) as lab:
        program = compiled("accesses", tmp_path_factory.mktemp("program"))
        for node in lab.nodes:
            node.put(program, PROGRAM, mode=0o755)
        yield lab
    assert leftovers(name) == []


def access(lab: Lab, node: int, kind: str, offset: int, count: int) -> None:
    lab.nodes[node].run(f"{PROGRAM} {kind} {offset} {count}")


def counted(traffic: Traffic, node: str, offset: int, size: int) -> tuple[int, ...]:
    counts = traffic.counts.sel(node=node)
    here = counts.sel(granule=(counts["granule"] >= offset) & (counts["granule"] < offset + size))
    return tuple(
        int(here[what].sel(op=op).sum()) for what in ("accesses", "bytes") for op in ("load", "store")
    )


@pytest.mark.newer_qemu
@pytest.mark.parametrize("short_cut", [True, False])
def test_each_kind_of_access_counts_as_the_table_says(
    traced: Lab, short_cut: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not short_cut:
        monkeypatch.setattr(Counters, "set", without_short_cut(Counters.set))
    with traced.record() as recording:
        # Newer ones have nothing to be cut short.
        offered = short_cut and addresses_blocks(traced.qemu_version)
        offers = [counters.header()["short_cut"] for counters in recording._counters.values()]  # type: ignore[attr-defined]
        assert offers == [int(offered)] * 2
        for number, kind in enumerate(OLDER, 1):
            access(traced, 0, kind, number * 16 * KIB, 10)
    counts = {
        kind: counted(recording.traffic(), "node01", number * 16 * KIB, 16 * KIB)
        for number, kind in enumerate(OLDER, 1)
    }
    kinds = OLDER | (DIFFERENT if traced.qemu_version >= 8_002_000 else {})
    assert (len(OLDER), len(DIFFERENT)) == (21, 3)
    release = traced.nodes[0].run("uname -r").stdout
    # With `fsrs`, which /proc/cpuinfo does not show, Linux clears by `rep stosb` from 6.4 on.
    if traced.qemu_version >= 8_001_000 and tuple(map(int, release.split(".")[:2])) >= (6, 4):
        kinds["read_into"] = (0, 40960, 0, 40960)
    assert counts == kinds
    # Nobody else, and nothing more.
    assert recording.traffic().counts["accesses"].sel(node="node02").sum() == 0
    assert recording.traffic().counts["accesses"].sum() == sum(a + b for a, b, _, _ in kinds.values())


@pytest.mark.newer_qemu
def test_every_atomic_counts_one_load_and_one_store(traced: Lab) -> None:
    sizes = {
        "xchg_split": 8, "failed_cas_split": 8, "cas16": 16, "lock_or4": 4, "lock_not_split": 4,
        "lock_bts": 8, "xadd2": 2, "lock_add_across_page": 8,
    }  # fmt: skip
    with traced.record() as recording:
        for number, kind in enumerate(sizes):
            access(traced, 0, kind, number * 16 * KIB, 10)
    counts = {
        kind: counted(recording.traffic(), "node01", number * 16 * KIB, 16 * KIB)
        for number, kind in enumerate(sizes)
    }
    assert counts == {kind: (10, 10, 10 * size, 10 * size) for kind, size in sizes.items()}


@pytest.mark.newer_qemu
def test_an_atomic_across_two_lines_counts_though_it_ran_before_the_recording(traced: Lab) -> None:
    with traced.record():
        pass
    access(traced, 0, "lock_add_split", 0, 10)
    with traced.record() as recording:
        access(traced, 0, "lock_add_split", 0, 10)
    assert counted(recording.traffic(), "node01", 0, 4096) == OLDER["lock_add_split"]


def without_short_cut(real: Callable[..., None]) -> Callable[..., None]:
    def changed(counters: Counters, **values: int) -> None:
        real(counters, **{name: 0 if name == "short_cut" else value for name, value in values.items()})

    return changed


def test_bytes_are_split_at_the_border_of_a_line(traced: Lab) -> None:
    with traced.record(granule=64) as recording:
        access(traced, 0, "across_line", 0, 10)
        access(traced, 0, "across_page", 16 * KIB, 10)
    counts = recording.traffic().counts.sel(op="load", node="node01")
    assert counts["granule"].values.tolist() == [0, 64, 16 * KIB + 4032, 16 * KIB + 4096]
    assert counts["accesses"].values.tolist() == [10, 0, 10, 0]
    assert counts["bytes"].values.tolist() == [40, 40, 40, 40]


def test_two_nodes_at_once_are_told_apart_by_initiator_and_home(traced: Lab) -> None:
    with traced.record() as recording:
        both = [
            threading.Thread(target=access, args=(traced, node, "load8", offset, 100_000))
            for node, offset in ((0, 0), (1, 0), (1, 40 * MIB))
        ]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
    assert recording.matrix().sel(op="load").values.tolist() == [[100_000, 0], [100_000, 100_000]]
    assert recording.matrix().sel(op="store").values.sum() == 0
    assert recording.matrix("bytes").sel(op="load").values.tolist() == [[800_000, 0], [800_000, 800_000]]
    assert int(recording.traffic().timeline["accesses"].sum()) == 300_000


def test_nothing_is_counted_before_and_after(traced: Lab) -> None:
    access(traced, 0, "load8", 0, 10)
    with traced.record() as recording:
        pass
    access(traced, 0, "load8", 0, 10)
    assert recording.traffic().counts["accesses"].sum() == 0


def test_a_recording_can_be_read_while_it_runs_and_begun_anew(traced: Lab) -> None:
    recording = traced.record().start()
    access(traced, 0, "store8", 0, 10)
    assert recording.matrix().sel(op="store").sum() == 10
    access(traced, 0, "store8", 0, 10)
    assert recording.stop().matrix().sel(op="store").sum() == 20
    assert recording.matrix().sel(op="store").sum() == 20
    with recording:
        access(traced, 0, "store8", 0, 5)
    assert recording.matrix().sel(op="store").sum() == 5


def test_an_attached_lab_records_too_but_not_at_the_same_time(traced: Lab) -> None:
    attached = Lab.attach(traced.spec.name)
    with traced.record() as recording:
        with pytest.raises(TrafficError, match="is being recorded already"):
            attached.record().start()
        access(traced, 0, "store8", 0, 10)
    assert recording.matrix().sel(op="store").sum() == 10
    with attached.record() as recording:
        access(traced, 1, "store8", 0, 10)
    assert recording.matrix().sel(op="store").sum() == 10


def test_a_recording_that_has_ended_takes_no_room(traced: Lab, tmp_path: Path) -> None:
    with traced.record(order=tmp_path / "order.parquet", granule=64) as recording:
        access(traced, 0, "store8", 0, 100_000)
        files = [counters.path for counters in recording._counters.values()]  # type: ignore[attr-defined]
        files += [file.with_suffix(".order") for file in files]
    assert all(file.stat().st_blocks * 512 <= 16 * KIB for file in files)


def test_counters_that_could_fill_their_file_system_are_warned_of(
    traced: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = os.statvfs(traced.fam.path.parent)
    full = os.statvfs_result((*real[:3], 100, 100, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with traced.record(granule=64):
        pass
    assert "if all of FAM is touched the counters take" in caplog.text
    assert "give a coarser granule than 64" in caplog.text


@pytest.mark.parametrize("granule", [0, 32, 96, "128K", "many"])
def test_a_granule_that_cannot_be_is_refused(traced: Lab, granule: int | str) -> None:
    with pytest.raises(SpecError, match="granule"):
        traced.record(granule=granule)


def test_a_lab_without_a_trace_says_what_to_set(lab: Lab) -> None:
    with pytest.raises(TrafficError, match="trace=True"):
        lab.record(source="trace")


def test_a_node_that_counts_other_memory_is_refused(traced: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Domain.fam_address
    monkeypatch.setattr(Domain, "fam_address", lambda domain, **options: real(domain, **options) + 4096)
    with pytest.raises(TrafficError, match="does not count FAM: of a known pattern"):
        traced.record().start()
    monkeypatch.undo()
    with traced.record():
        pass


@pytest.mark.newer_qemu
def test_four_switches_on_idle_and_busy_nodes_lose_no_node(traced: Lab) -> None:
    switch(traced, 4)


@pytest.mark.soak
def test_a_hundred_switches_on_idle_and_busy_nodes_lose_no_node(traced: Lab) -> None:
    switch(traced, 100)


def switch(lab: Lab, times: int) -> None:
    # Without an end: it was over before a hundred switches on a slow host.
    lab.nodes[1].run(f"{PROGRAM} load8 0 {2**63 - 1} > /dev/null 2>&1 < /dev/null &")
    try:
        sums = []
        for _ in range(times):
            with lab.record() as recording:
                access(lab, 0, "store8", 32 * KIB, 10)
                time.sleep(0.02)
            assert recording.matrix().sel(op="store").values.sum() == 10
            sums.append(int(recording.matrix().sel(op="load", initiator="node02").sum()))
        assert min(sums) > 0
    finally:
        lab.nodes[1].run("killall accesses")
    assert [node.state for node in lab.nodes] == ["running", "running"]


@pytest.mark.parametrize("granule", [64, 4096])
def test_four_nodes_at_once_are_counted_to_the_last_access(four: Lab, granule: int) -> None:
    def work(node: int) -> None:
        # A line and a page of its own in each home, and a word that all of them add to.
        for home in range(4):
            own = home * 16 * MIB + node * 4 * KIB + 64 * node
            access(four, node, "load8", own, 1000 + 10 * node + home)
            access(four, node, "store8", own, 100 + 10 * node + home)
        access(four, node, "lock_add", 15 * MIB, 5000)

    four.fam.write(15 * MIB, bytes(8))
    with four.record(granule=granule) as recording:
        threads = [threading.Thread(target=work, args=(node,)) for node in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    grid = np.add.outer(10 * np.arange(4), np.arange(4))
    at_home = np.array([5000, 0, 0, 0])
    matrix = recording.matrix()
    np.testing.assert_array_equal(matrix.sel(op="load"), 1000 + grid + at_home)
    np.testing.assert_array_equal(matrix.sel(op="store"), 100 + grid + at_home)
    traffic = recording.traffic()
    for node in range(4):
        for home in range(4):
            own = home * 16 * MIB + node * 4 * KIB + 64 * node
            loads, stores = 1000 + 10 * node + home, 100 + 10 * node + home
            counts = counted(traffic, f"node{node + 1:02}", own // granule * granule, granule)
            assert counts == (loads, stores, 8 * loads, 8 * stores)
    assert int(np.frombuffer(four.fam.read(15 * MIB, 8), "<u8")[0]) == 20_000
    kinds = recording.sharing()["kind_of"]
    assert kinds.sel(granule=15 * MIB) == "write-shared"
    assert (kinds != "private").sum() == 1


def test_with_two_vcpus_nothing_is_lost(tmp_path: Path, qemu: str) -> None:
    with Lab(LabSpec("twice", nodes=1, fam="1M", trace=True, vcpus=2, qemu=qemu), progress=False) as lab:
        lab.nodes[0].put(compiled("accesses", tmp_path), PROGRAM, mode=0o755)
        with lab.record() as recording:
            lab.nodes[0].run(f"for cpu in 1 2; do taskset $cpu {PROGRAM} lock_add 0 500000 & done; wait")
        assert counted(recording.traffic(), "node01", 0, 4096) == (10**6, 10**6, 8 * 10**6, 8 * 10**6)
        assert int(np.frombuffer(lab.fam.read(0, 8), "<u8")[0]) == 10**6
    assert leftovers("twice") == []


def test_a_node_that_dies_or_boots_anew_keeps_its_counts_and_is_marked(tmp_path: Path, qemu: str) -> None:
    with Lab(LabSpec("mortal", nodes=3, fam="1M", trace=True, qemu=qemu), progress=False) as lab:
        for node in lab.nodes:
            node.put(compiled("accesses", tmp_path), PROGRAM, mode=0o755)
        with lab.record() as recording:
            for number in range(3):
                access(lab, number, "store8", number * 16 * KIB, 10)
            for pid in qemu_processes("mortal"):
                if b"fame-mortal-node02" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
            while lab.nodes[1].state != "gone":
                time.sleep(0.05)
            lab.nodes[2].restart()
        traffic = recording.traffic()
        assert traffic.counts["accesses"].sel(op="store").sum("granule").values.tolist() == [10, 10, 10]
        assert sorted(traffic.ended) == ["node02", "node03"]
        assert "restarted" in traffic.ended["node03"]
        lab.nodes[1].restart()
        with lab.record() as recording:
            lab.nodes[1].put(compiled("accesses", tmp_path), PROGRAM, mode=0o755)
            access(lab, 1, "store8", 0, 10)
        assert recording.matrix().sel(op="store").sum() == 10
        assert recording.traffic().ended == {}
    assert leftovers("mortal") == []


def test_accesses_come_in_their_order(traced: Lab, tmp_path: Path) -> None:
    with traced.record(order=tmp_path / "order.parquet") as recording:
        access(traced, 0, "plain_add", 4096, 3)
        access(traced, 1, "across_page", 40 * MIB, 2)
    table = pyarrow.parquet.read_table(tmp_path / "order.parquet")
    rows = table.sort_by("time").to_pylist()
    assert [(row["node"], row["op"], row["offset"], row["size"], row["continued"]) for row in rows] == [
        *[("node01", "load", 4096, 8, False), ("node01", "store", 4096, 8, False)] * 3,
        *[
            ("node02", "load", 40 * MIB + 4092, 4, False),
            ("node02", "load", 40 * MIB + 4096, 4, True),
        ]
        * 2,
    ]
    order = recording.traffic().manifest["order"]
    assert (order["accesses"], order["lost"]) == (10, {"node01": 0, "node02": 0})
    assert [path.name for path in tmp_path.iterdir()] == ["order.parquet"]


@pytest.mark.parametrize("order", ["", 5, ".", "nowhere/order.parquet"])
def test_an_order_that_cannot_be_written_is_refused_before_the_recording(
    traced: Lab, order: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="order is"):
        traced.record(order=order)
    assert list(tmp_path.iterdir()) == []


def test_an_order_that_fails_leaves_the_counts(traced: Lab, tmp_path: Path) -> None:
    recording = traced.record(order=tmp_path / "order.parquet").start()
    access(traced, 0, "store8", 0, 10)
    (tmp_path / "order.parquet").mkdir()
    with pytest.raises(HostError, match="Is a directory; the counts are whole"):
        recording.stop()
    assert recording.matrix().sel(op="store").sum() == 10


@pytest.mark.parametrize("interval", ["1", 0, float("nan"), True])
def test_an_interval_that_cannot_be_is_refused(traced: Lab, interval: Any) -> None:
    with pytest.raises(SpecError, match="interval is"):
        traced.record(interval=interval)


def test_what_finds_its_ring_full_is_lost_and_counted(
    traced: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fame_lab.traffic.trace.access_log._INTERVAL", 3600)
    count = CAPACITY + 1000
    with traced.record(order=tmp_path / "order.parquet") as recording:
        access(traced, 0, "store8", 0, count)
    table = pyarrow.parquet.read_table(tmp_path / "order.parquet")
    assert table.num_rows == CAPACITY
    assert json.loads(pyarrow.parquet.read_metadata(tmp_path / "order.parquet").metadata[b"lost"]) == {
        "node01": 1000,
        "node02": 0,
    }
    assert recording.traffic().manifest["order"]["lost"]["node01"] == 1000
    assert recording.matrix().sel(op="store").sum() == count


# The notebook of access patterns has all three counted too.
@pytest.mark.parametrize(
    "placement",
    ["interleaved", *(pytest.param(each, marks=pytest.mark.soak) for each in ("own", "remote"))],
)
def test_workloads_report_what_the_trace_counts(traced: Lab, placement: str) -> None:
    with traced.record() as recording:
        result = traced.probe("workloads", placement=placement, size="64K", operations=1 << 14, batches=30)
    reported = result.dataset[["loads", "stores"]].sum("workload")
    matrix = recording.matrix()
    assert reported["loads"].sum() > 10**6
    np.testing.assert_array_equal(matrix.sel(op="load"), reported["loads"].transpose("initiator", "home"))
    np.testing.assert_array_equal(matrix.sel(op="store"), reported["stores"].transpose("initiator", "home"))


def test_a_recording_that_outlives_its_lab_keeps_what_it_has(tmp_path: Path, qemu: str) -> None:
    with Lab(LabSpec("outlived", nodes=1, fam="1M", trace=True, qemu=qemu), progress=False) as lab:
        lab.nodes[0].put(compiled("accesses", tmp_path), PROGRAM, mode=0o755)
        recording = lab.record().start()
        access(lab, 0, "store8", 0, 10)
    assert not recording.running
    assert recording.stop().matrix().sel(op="store").sum() == 10
    assert leftovers("outlived") == []
