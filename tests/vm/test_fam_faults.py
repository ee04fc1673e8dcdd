"""FAM's file harmed under a lab: the host's own looks survive it, and nobody boots into another file."""

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import leftovers

from fame_lab import Lab, LabSpec
from fame_lab.errors import FameError, HostError, ProbeError, SSHError, TrafficError
from fame_lab.guest.ssh import output
from fame_lab.lab.node import Node

pytestmark = pytest.mark.vm
NAME = f"harmed-{os.getpid()}"
PAGE = 4096


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory where QEMU's user can reach a file."""
    directory = Path(f"/dev/shm/fame-{NAME}")  # noqa: S108
    directory.mkdir(mode=0o755)
    yield directory
    directory.rmdir()


def harmed(path: Path | None = None, nodes: int = 1, fam: str = "1M") -> Lab:
    return Lab(LabSpec(NAME, nodes=nodes, fam=fam, fam_path=path), progress=False)


def store(node: Node, offset: int, content: str) -> None:
    node.probe("store", "--fam", "/dev/fam", "--offset", str(offset), content)


@contextlib.contextmanager
def truncated_after(seconds: float, lab: Lab, size: int) -> Iterator[None]:
    """Truncate its FAM in a while, if the block still runs; never another's."""
    timer = threading.Timer(seconds, os.truncate, (lab.fam.path, size))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def test_a_file_that_is_truncated_ends_no_look_of_the_hosts() -> None:
    with harmed(fam="4M") as lab:
        lab.fam.write(0, b"here")
        recording = lab.record(source="samples", interval=0.05)
        recording.start()
        panel = lab.panel()
        # It asks the node's clock by the control area all the while, and the node loses what it maps.
        with truncated_after(0.5, lab, PAGE), pytest.raises(FameError, match=r"truncated|its QEMU has ended"):
            while True:
                lab.probe("timer")
        for look in (
            lambda: lab.fam.array("u1"),
            lambda: lab.fam.read(0, 4),
            lambda: lab.fam.write(0, b"x"),
            lab.fam.allocated,
            lab.nodes[0].restart,
            lambda: lab.record(source="samples"),
        ):
            with pytest.raises((HostError, TrafficError), match="truncated"):
                look()
        with pytest.raises(TrafficError, match="truncated"):
            recording.stop()
        assert NAME in str(panel._repr_mimebundle_())
        panel.close()
        assert [entry.name for entry in Lab.list() if entry.name == NAME] == [NAME]
    assert leftovers(NAME) == []


def test_a_file_that_is_truncated_while_the_host_answers_a_node_ends_the_probe_alone() -> None:
    with harmed(nodes=2) as lab:
        with truncated_after(1.0, lab, 0), pytest.raises((HostError, ProbeError)) as raised:
            while True:
                lab.probe("visibility")
        assert "truncated" in str(raised.value) or "ended" in str(raised.value)
        with pytest.raises(HostError, match="truncated"):
            lab.fam.check()
    assert leftovers(NAME) == []


def test_a_command_that_waits_for_a_node_that_hangs_ends_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(output, "SILENCE", 2.0)
    with harmed(nodes=2) as lab:
        node = lab.nodes[1]
        node.run("true")
        over = threading.Event()

        def hang() -> None:  # as one under KVM does, on any host
            with node.domain.paused():
                over.wait()

        hanging = threading.Timer(1.0, hang)
        hanging.start()
        try:
            with truncated_after(1.0, lab, 0), pytest.raises(SSHError, match=r"nothing for 2 s.*truncated"):
                node.run("sleep 600")
        finally:
            over.set()
            hanging.join()
    assert leftovers(NAME) == []


@pytest.mark.parametrize("harm", [pytest.param("deleted", marks=pytest.mark.soak), "replaced"])
def test_no_node_boots_into_another_file_than_the_others_have(harm: str) -> None:
    with harmed(nodes=2) as lab:
        view = lab.fam.array("u1", 0, 4, writable=True)
        lab.fam.path.unlink()
        if harm == "replaced":
            lab.fam.path.write_bytes(bytes(lab.fam.size))
        boot = lab.nodes[1].run("cat /proc/sys/kernel/random/boot_id").stdout
        with pytest.raises(HostError, match="No such file" if harm == "deleted" else "another file"):
            lab.nodes[1].restart()
        # The node is as it was; and who had the file has it still.
        assert lab.nodes[1].run("cat /proc/sys/kernel/random/boot_id").stdout == boot
        store(lab.nodes[1], 0, "both")
        assert bytes(view) == b"both"
        with pytest.raises(HostError):
            lab.fam.array("u1")
    assert leftovers(NAME) == []


@pytest.fixture
def small_file_system(place: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M,mode=755", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_file_system_that_is_full_costs_the_node_that_stores_and_no_other(small_file_system: Path) -> None:
    with harmed(small_file_system / "fam", nodes=2, fam="4M") as lab:
        pattern = random.Random(7).randbytes(64 * PAGE)  # noqa: S311 - a pattern
        lab.fam.write(0, pattern)
        (small_file_system / "filler").write_bytes(bytes(600 << 10))
        with pytest.raises(HostError, match="No space left"):
            lab.fam.write(1 << 20, bytes(1 << 20))
        with pytest.raises(FameError, match="no room is left for FAM"):
            for page in range(2 << 20, 4 << 20, 1 << 16):
                store(lab.nodes[1], page, "more")
        assert lab.fam.read(0, len(pattern)) == pattern
        assert lab.nodes[0].run("uname -n").stdout == "node01\n"
        assert lab.fam.allocated() <= 1 << 20
        (small_file_system / "filler").unlink()
        lab.nodes[1].restart()
        assert lab.run("uname -n")["node02"].stdout == "node02\n"
        assert lab.fam.read(0, len(pattern)) == pattern
    assert leftovers(NAME) == []
    assert list(small_file_system.iterdir()) == []


def test_of_many_starts_of_one_name_just_one_wins() -> None:
    labs = [harmed() for _ in range(4)]
    outcome: list[str] = []

    def start(lab: Lab) -> None:
        try:
            lab.start()
            outcome.append("won")
        except FameError as error:
            outcome.append(str(error))

    script = (
        f"from fame_lab import Lab, LabSpec; from fame_lab.errors import LabError\n"
        f"try: Lab(LabSpec({NAME!r}, fam='1M', nodes=1), progress=False).start().detach(); print('won')\n"
        f"except LabError as error: print(error)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    time.sleep(0.5)
    threads = [threading.Thread(target=start, args=(lab,)) for lab in labs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcome += [process.communicate()[0].strip() for process in processes]
    try:
        assert outcome.count("won") == 1
        assert all(NAME in words for words in outcome if words != "won")
        assert Lab.attach(NAME).run("uname -n")["node01"].stdout == "node01\n"
    finally:
        Lab.attach(NAME).stop()
    assert leftovers(NAME) == []
