"""Files and commands on real nodes, whose SSH server is dropbear; OpenSSH's is in test_debian_vm."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fame_lab import Lab
from fame_lab.core.jobs.cancellation import cancellable
from fame_lab.errors import CommandError, SSHError
from fame_lab.lab.node import Node

pytestmark = pytest.mark.vm


@pytest.fixture
def node(lab: Lab) -> Node:
    return lab.nodes[0]


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "a b\n"
    path.write_bytes(os.urandom(300_000))
    path.chmod(0o751)
    return path


def left_in(node: Node) -> str:
    return node.run("ls -a / /root /tmp | grep fame-put; true").stdout


def test_a_file_goes_into_a_directory_and_comes_back_as_it_was(
    node: Node, local: Path, tmp_path: Path
) -> None:
    for directory in ("/tmp", "/root/", "~", "."):  # noqa: S108 - in the guest
        where = node.put(local, directory)
        assert where.name == local.name
        (tmp_path / "back").mkdir(exist_ok=True)
        got = node.get(where, tmp_path / "back")
        assert got.read_bytes() == local.read_bytes()
        assert got.stat().st_mode == local.stat().st_mode
        node.run("rm -f /tmp/a* /root/a*")
    assert left_in(node) == ""


def test_a_file_larger_than_the_nodes_room_is_refused_and_the_node_goes_on(
    node: Node, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(200 << 20)
    with pytest.raises(CommandError, match=r"it takes 200M, and there is room for \d+[KM]?"):
        node.put(large, "/tmp/")  # noqa: S108 - in the guest
    node.run("echo hello > /tmp/f && rm /tmp/f")
    assert left_in(node) == ""


@pytest.mark.parametrize("remote", ["/dev/null", "/dev/fam", "/proc/x", "/nowhere/x", "/etc/nowhere/x"])
def test_what_can_hold_no_file_is_left_as_it_was(node: Node, local: Path, remote: str) -> None:
    with pytest.raises(CommandError, match="cannot put"):
        node.put(local, remote)
    assert node.run("[ -c /dev/null ] && [ -L /dev/fam ] && echo whole").stdout == "whole\n"


def test_copies_of_one_file_at_a_time_leave_one_whole(node: Node, local: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: node.put(local, "/tmp/same"), range(8)))  # noqa: S108 - in the guest
    assert node.run("wc -c < /tmp/same; rm /tmp/same").stdout == "300000\n"
    assert left_in(node) == ""


def test_a_copy_that_is_called_off_leaves_nothing(node: Node, tmp_path: Path) -> None:
    enough = threading.Event()
    (tmp_path / "large").write_bytes(bytes(10 << 20))
    threading.Timer(0.7, enough.set).start()
    with cancellable(enough), pytest.raises(SSHError, match="called off"):
        node.put(tmp_path / "large", "/tmp/large")  # noqa: S108 - in the guest
    assert left_in(node) == ""
    assert node.run("ls /tmp/large 2>&1; true").stdout.endswith("No such file or directory\n")


def test_put_on_the_command_line_that_is_interrupted_leaves_nothing(
    lab: Lab, node: Node, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(bytes(10 << 20))
    words = ["put", lab.spec.name, node.name, str(tmp_path / "large"), "/root/large"]
    with subprocess.Popen([sys.executable, "-m", "fame_lab", *words], stderr=subprocess.PIPE) as running:
        while left_in(node) == "":
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        stderr = running.communicate(timeout=120)[1]
    assert running.returncode == 130
    assert b"Traceback" not in stderr
    assert left_in(node) == ""
    assert "large" not in node.run("ls /root").stdout.split()


def test_many_commands_at_a_time_run_once_each(node: Node) -> None:
    with ThreadPoolExecutor(40) as pool:
        outputs = list(pool.map(lambda i: node.run(f"sleep 1; echo {i} | tee -a /tmp/ran").stdout, range(40)))
    assert outputs == [f"{i}\n" for i in range(40)]
    ran = node.run("cat /tmp/ran; rm /tmp/ran").stdout.split()
    assert sorted(map(int, ran)) == list(range(40))


@pytest.mark.parametrize("length", [8_000, 9_100, 150_000, 1_000_000])
def test_a_long_command_runs_and_others_go_on(node: Node, length: int) -> None:
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(node.run, "sleep 3; echo alive")
        result = node.run(f"printf %s '{'x' * length}' | wc -c; cat; exit 7", check=False, stdin=b"mine\n")
        assert (result.stdout, result.exit_status) == (f"{length}\nmine\n", 7)
        assert other.result().stdout == "alive\n"


def test_a_long_command_that_is_given_up_ends_in_the_node(node: Node) -> None:
    with pytest.raises(SSHError, match="takes longer"):
        node.run("sleep 301 # " + "x" * 20_000, timeout=3)
    assert node.run("ps | grep '[s]leep 301'; true").stdout == ""


def test_a_command_that_a_signal_ended_has_a_shells_status(node: Node) -> None:
    assert node.run("kill -9 $$", check=False).exit_status == 137
