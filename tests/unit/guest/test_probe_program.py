"""The probe program itself, run on this host against a plain file."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fame_lab.core import native
from fame_lab.host.fam import Fam

SIZE = 4 << 20
BARRIER = SIZE - 4096


@pytest.fixture
def fam(tmp_path: Path) -> Fam:
    return Fam.create(tmp_path / "fam", SIZE)


def start(*words: object) -> subprocess.Popen[str]:
    command = [str(native.PROBE.binary()), *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(*processes: subprocess.Popen[str]) -> Iterator[list[dict[str, Any]]]:
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        yield [json.loads(line) for line in out.splitlines()]


def probe(*words: object) -> list[dict[str, Any]]:
    return next(finish(start(*words)))


def refused(*words: object) -> tuple[int, str]:
    process = start(*words)
    out, err = process.communicate(timeout=60)
    assert out == ""
    assert process.returncode != 0
    return process.returncode, err


def test_prove_reads_one_nonce_and_leaves_the_other(fam: Fam) -> None:
    fam.write(256, (0xFEDCBA9876543210).to_bytes(8, "little"))
    [line] = probe("prove", "--fam", fam.path, "--size", SIZE, "--read", 256, "--write", 512, 0xDEADBEEF)
    assert line == {"probe": "prove", "size": SIZE, "read": "0xfedcba9876543210"}
    assert fam.read(512, 8) == (0xDEADBEEF).to_bytes(8, "little")


def test_prove_refuses_a_fam_of_another_size(fam: Fam) -> None:
    status, message = refused("prove", "--fam", fam.path, "--size", 1 << 20, "--read", 0, "--write", 8, 1)
    assert status == 1
    assert str(SIZE) in message


def test_two_processes_adding_lose_nothing(fam: Fam) -> None:
    shared = ("--barrier", BARRIER, "--parties", 2)
    both = [start("add", "--fam", fam.path, "--offset", 64, "--count", 1_000_000, *shared) for _ in range(2)]
    counts = [lines[0]["last"] for lines in finish(*both)]
    assert max(counts) == 2_000_000
    assert int.from_bytes(fam.read(64, 8), "little") == 2_000_000


def test_a_barrier_can_be_used_again(fam: Fam) -> None:
    for _ in range(3):
        shared = ("--barrier", BARRIER, "--parties", 2)
        list(
            finish(*(start("add", "--fam", fam.path, "--offset", 0, "--count", 1, *shared) for _ in range(2)))
        )
    assert int.from_bytes(fam.read(0, 8), "little") == 6


def test_a_barrier_gives_up_on_a_node_that_never_comes(fam: Fam) -> None:
    shared = ("--barrier", BARRIER, "--parties", 2, "--timeout", 1)
    status, message = refused("add", "--fam", fam.path, "--offset", 0, "--count", 1, *shared)
    assert status == 1
    assert "1 of 2 parties came" in message


def test_a_barrier_that_was_not_cleared_is_refused(fam: Fam) -> None:
    fam.write(BARRIER, (2).to_bytes(4, "little"))
    shared = ("--barrier", BARRIER, "--parties", 2)
    _, message = refused("add", "--fam", fam.path, "--offset", 0, "--count", 1, *shared)
    assert "was it cleared?" in message


@pytest.mark.parametrize("memory", ["dram", "fam"])
def test_chase_visits_every_line_and_gives_raw_batches(fam: Fam, memory: str) -> None:
    lines = probe(
        "chase", "--fam", fam.path, "--memory", memory, "--sizes", "64,4096,1048576", "--batches", 30
    )
    assert [line["size"] for line in lines] == [64, 4096, 1048576]
    for line in lines:
        assert line["memory"] == memory
        assert line["mapping"] is None
        assert len(line["batch_ns"]) == len(line["preempted"]) == 30
        assert min(line["batch_ns"]) >= max(1_000_000, 100 * line["timer_ns"])
        assert line["loads"] % 125 == 0
        assert set(line["preempted"]) <= {0, 1}


def test_chase_goes_by_its_seed(fam: Fam) -> None:
    orders = []
    words = ("chase", "--fam", fam.path, "--memory", "fam", "--sizes", 65536, "--batches", 30)
    for seed in (1, 1, 2):
        probe(*words, "--seed", seed)
        links = fam.array("u8", count=8192)
        links = links[links > 0]
        orders.append((links - links.min()).tolist())
    assert orders[0] == orders[1] != orders[2]


def test_chase_keeps_to_its_range(fam: Fam) -> None:
    fam.write(0, b"\xaa" * 64)
    fam.write(64 + 4096, b"\xbb" * 64)
    probe("chase", "--fam", fam.path, "--memory", "fam", "--offset", 64, "--sizes", 4096, "--batches", 30)
    assert fam.read(0, 64) == b"\xaa" * 64
    assert fam.read(64 + 4096, 64) == b"\xbb" * 64


LOOPS = pytest.mark.parametrize(("width", "unroll"), [(8, 1), (8, 8), (16, 1), (16, 8)])


def moved(fam: Fam, op: str, size: int, width: int, unroll: int) -> dict[str, Any]:
    loop = ("--op", op, "--width", width, "--unroll", unroll)
    [line] = probe("bandwidth", "--fam", fam.path, "--memory", "fam", *loop, "--sizes", size, "--batches", 30)
    assert (line["op"], line["width"], line["unroll"]) == (op, width, unroll)
    return line


@LOOPS
@pytest.mark.parametrize("op", ["read", "write", "nt-write", "copy"])
def test_bandwidth_counts_whole_passes(fam: Fam, op: str, width: int, unroll: int) -> None:
    assert moved(fam, op, 65536, width, unroll)["bytes"] % 65536 == 0


@LOOPS
def test_bandwidth_copies_the_first_half_to_the_second_and_no_further(
    fam: Fam, width: int, unroll: int
) -> None:
    content = bytes(range(256)) * 16
    fam.write(0, content)
    fam.write(8192, b"\xcc" * 64)
    moved(fam, "copy", 8192, width, unroll)
    assert fam.read(0, 8192 + 64) == content + content + b"\xcc" * 64


@LOOPS
@pytest.mark.parametrize("op", ["write", "nt-write"])
def test_bandwidth_writes_its_range_and_no_further(fam: Fam, op: str, width: int, unroll: int) -> None:
    fam.write(8192, b"\xcc" * 64)
    moved(fam, op, 8192, width, unroll)
    assert fam.read(0, 8192) == (0x0102030405060708).to_bytes(8, "little") * 1024
    assert fam.read(8192, 64) == b"\xcc" * 64


@LOOPS
@pytest.mark.parametrize("size", [512, 2560, 8192])
def test_bandwidth_adds_the_second_and_three_times_the_last_third_into_the_first(
    fam: Fam, size: int, width: int, unroll: int
) -> None:
    fam.write(0, b"\xff" * size)  # no numbers: they are overwritten first
    line = moved(fam, "triad", size, width, unroll)
    third = size // 3 // 128 * 128
    assert line["bytes"] % (3 * third) == 0
    a, b, c = (fam.array("f8", i * third, third // 8) for i in range(3))
    assert set(a) == {4.0}
    assert set(b) == set(c) == {1.0}
    assert fam.read(3 * third, size - 3 * third) == b"\xff" * (size - 3 * third)


@LOOPS
def test_bandwidth_reads_without_storing(fam: Fam, width: int, unroll: int) -> None:
    content = bytes(range(256)) * 16
    fam.write(0, content)
    moved(fam, "read", 4096, width, unroll)
    assert fam.read(0, 4096) == content


@pytest.mark.parametrize("variant", ["one-line", "two-lines", "cas", "fetch-add"])
def test_pingpong_answers_every_message(fam: Fam, variant: str) -> None:
    shared = ("--fam", fam.path, "--variant", variant, "--barrier", BARRIER, "--parties", 2, "--batches", 30)
    roles = [start("pingpong", *shared, "--role", role) for role in ("pong", "ping")]
    [pong], [ping] = finish(*roles)
    assert ping["messages"] == pong["messages"] >= 30 * ping["round_trips"]
    assert len(ping["batch_ns"]) == len(ping["preempted"]) == len(pong["preempted"]) == 30


def test_two_that_share_one_core_take_turns_and_are_flagged(fam: Fam) -> None:
    shared = ("--fam", fam.path, "--variant", "cas", "--barrier", BARRIER, "--parties", 2, "--batches", 30)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        roles = [start("pingpong", *shared, "--role", role) for role in ("pong", "ping")]
    finally:
        os.sched_setaffinity(0, cores)
    [pong], [ping] = finish(*roles)
    assert all(one or other for one, other in zip(ping["preempted"], pong["preempted"], strict=True))


def test_pingpong_gives_up_on_a_node_that_leaves(fam: Fam) -> None:
    shared = (
        "--fam",
        fam.path,
        "--variant",
        "one-line",
        "--barrier",
        BARRIER,
        "--parties",
        2,
        "--timeout",
        1,
    )
    ping = start("pingpong", *shared, "--role", "ping", "--batches", 1000)
    pong = start("pingpong", *shared, "--role", "pong", "--batches", 1000, "--batch-us", 100000)
    pong.kill()
    pong.communicate()
    out, err = ping.communicate(timeout=60)
    assert (ping.returncode, out) == (1, "")
    assert "within 1 s" in err


NEVER = 1 << 62


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("chase --memory fam --sizes 0", 2),
        ("chase --memory fam --sizes 100", 2),
        ("chase --memory fam --sizes 4096,", 2),
        ("chase --memory fam --sizes -64", 2),
        ("chase --memory fam --sizes 64 --offset 8", 2),
        ("chase --memory fam --sizes 64 --batches 29", 2),
        ("chase --memory fam --sizes 64 --batch-us 999", 2),
        ("chase --memory fam --sizes 64 --seed 1 --seed 1", 2),
        ("chase --memory fam --sizes 64 extra", 2),
        ("chase --memory fam --sizes 64 --order sorted", 2),
        ("chase --memory fam --sizes 64 --stride 96", 2),
        ("chase --memory fam --sizes 192 --stride 128", 2),
        ("chase --memory fam", 2),
        ("chase --memory hbm --sizes 64", 2),
        (f"chase --memory fam --sizes {SIZE * 2}", 1),
        (f"chase --memory fam --sizes 64 --offset {SIZE}", 1),
        (f"chase --memory fam --sizes {NEVER} --offset {NEVER * 3}", 1),
        (f"chase --memory dram --sizes {NEVER}", 1),
        ("bandwidth --memory fam --op scale --sizes 256", 2),
        ("bandwidth --memory fam --op read --sizes 256 --unroll 4", 2),
        ("bandwidth --memory fam --op triad --sizes 256", 2),
        ("bandwidth --memory fam --op copy --sizes 64", 2),
        ("bandwidth --memory fam --op copy --sizes 256 --width 4", 2),
        ("add --offset 3 --count 1", 2),
        ("add --offset 0 --count 0", 2),
        (f"add --offset {SIZE} --count 1", 1),
        ("add --offset 0 --count 1 --parties 2 --barrier 64", 2),
        ("add --offset 0 --count 1 --parties 2 --barrier 0 --timeout 0", 2),
        ("pingpong --role judge --variant one-line --barrier 0", 2),
        ("pingpong --role ping --variant three-lines --barrier 0", 2),
        (f"pingpong --role ping --variant one-line --barrier 0 --offset {SIZE - 128}", 1),
        ("ring --role judge --sizes 8 --barrier 0 --parties 2", 2),
        ("ring --role producer --sizes 12 --barrier 0 --parties 2", 2),
        ("ring --role producer --sizes 8 --slots 3 --barrier 0 --parties 2", 2),
        ("ring --role consumer --sizes 8 --barrier 0 --parties 3", 2),
        ("ring --role consumer --sizes 8 --offset 64 --barrier 0 --parties 2", 2),
        (f"ring --role producer --sizes 8 --offset {SIZE - 256} --barrier 0 --parties 2", 1),
        ("visibility --role judge --barrier 0 --parties 2", 2),
        ("visibility --role writer", 2),
        ("visibility --role reader --exchanges 0 --barrier 0 --parties 2", 2),
        ("visibility --role reader --batches 1000 --exchanges 1000 --barrier 0 --parties 2", 2),
        (f"visibility --role writer --offset {SIZE - 128} --barrier 0 --parties 2", 1),
        ("pressure --size 4096 --stop 3", 2),
        ("pressure --size 4096 --stop 0 --op copy", 2),
        ("pressure --size 4096 --stop 0 --delay 1000001", 2),
        ("loaded --size 4096 --stop 0 --order sorted", 2),
        (f"loaded --size 4096 --stop {SIZE}", 1),
        ("timer --question 0 --answer 8 --ms 1", 2),
        ("timer --question 0 --answer 8 --batch-us 99", 2),
        ("memory --sizes 64", 2),
        ("levitate", 2),
    ],
)
def test_what_cannot_be_is_refused_with_no_number(fam: Fam, words: str, status: int) -> None:
    command, *rest = words.split()
    assert refused(command, "--fam", fam.path, *rest)[0] == status
    assert fam.array().max() == 0


def test_a_fam_that_is_no_file_is_refused() -> None:
    status, message = refused("add", "--fam", "/dev/null", "--offset", 0, "--count", 1)
    assert status == 1
    assert "is not FAM" in message


def test_a_result_that_cannot_be_written_is_no_success(fam: Fam) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(native.PROBE.binary()), "add", "--fam", str(fam.path), "--offset", "0", "--count", "1"],
            stdout=full,
            stderr=subprocess.DEVNULL,
        )
    assert done.returncode == 1


def test_help_names_every_command() -> None:
    done = subprocess.run([str(native.PROBE.binary()), "--help"], capture_output=True, text=True, check=True)
    for command in ("prove", "add", "chase", "bandwidth", "pingpong", "ring", "visibility"):
        assert f"  {command} FAM" in done.stdout
