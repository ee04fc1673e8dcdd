"""Many commands at a time on one node: as many run as its SSH server takes, and the rest wait."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import paramiko
import pytest
from hostile_ssh import hostile_node
from paramiko.common import cMSG_CHANNEL_REQUEST

from fame_lab.core.jobs.cancellation import cancellable
from fame_lab.errors import SpecError, SSHError
from fame_lab.guest.ssh import connection as ssh
from fame_lab.guest.ssh import sessions
from fame_lab.guest.ssh.connection import Connection


@pytest.fixture(autouse=True)
def _short_kill_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "_KILL_TIMEOUT", 0.5)


class Crowd:
    """What runs at a time, and on how many connections; each command ends when it is told to."""

    def __init__(self, *, lasting: float = 0.0) -> None:
        self.together = self.most = 0
        self.on: dict[int, int] = {}
        self.most_on_one = 0
        self.over = threading.Event()
        self._lasting = lasting
        self._lock = threading.Lock()

    def __call__(self, channel: paramiko.Channel) -> None:
        connection = id(channel.get_transport())
        with self._lock:
            self.together += 1
            self.on[connection] = self.on.get(connection, 0) + 1
            self.most = max(self.most, self.together)
            self.most_on_one = max(self.most_on_one, self.on[connection])
        self.over.wait(self._lasting or None)
        with self._lock:
            self.together -= 1
            self.on[connection] -= 1
        channel.sendall(b"done\n")
        channel.send_exit_status(0)
        channel.close()


def run_many(connection: Connection, count: int) -> list[str]:
    with ThreadPoolExecutor(count) as pool:
        return [each.stdout for each in pool.map(connection.run, ["any"] * count)]


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_more_commands_than_a_server_takes_wait_and_none_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_MAX_LINKS", 2)
    crowd = Crowd(lasting=0.05)
    with hostile_node(tmp_path, crowd, sessions=3) as connection:
        assert run_many(connection, 20) == ["done\n"] * 20
    assert crowd.most_on_one <= 3
    assert len(crowd.on) >= 2


def test_commands_that_wait_for_each_other_find_room_on_further_connections(tmp_path: Path) -> None:
    crowd = Crowd()
    with hostile_node(tmp_path, crowd, sessions=10) as connection:
        with ThreadPoolExecutor(16) as pool:
            running = [pool.submit(connection.run, "any") for _ in range(16)]
            until(lambda: crowd.together == 16)
            crowd.over.set()
        assert {each.result().stdout for each in running} == {"done\n"}
    assert len(crowd.on) == 2


def test_dropbear_is_given_one_session_a_connection(tmp_path: Path) -> None:
    crowd = Crowd(lasting=0.05)
    with hostile_node(tmp_path, crowd, version="dropbear_2022.83") as connection:
        assert run_many(connection, 12) == ["done\n"] * 12
    assert crowd.most_on_one == 1
    assert crowd.most > 1


def test_connections_that_nobody_needs_any_more_are_closed(tmp_path: Path) -> None:
    crowd = Crowd(lasting=0.2)
    with hostile_node(tmp_path, crowd, version="dropbear_2022.83") as connection:
        run_many(connection, 8)
        assert len(connection._sessions._places) <= sessions._SPARE


def busy(connection: Connection, crowd: Crowd, pool: ThreadPoolExecutor) -> None:
    """Use all sessions that the server takes."""
    pool.submit(connection.run, "first", check=False)
    until(lambda: crowd.together == 1)


def test_a_wait_is_part_of_the_timeout_and_told_as_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_MAX_LINKS", 1)
    crowd = Crowd()
    with hostile_node(tmp_path, crowd, sessions=1) as connection, ThreadPoolExecutor(1) as pool:
        busy(connection, crowd, pool)
        with pytest.raises(SSHError, match=r"'second' was not begun within its 0\.5 s"):
            connection.run("second", timeout=0.5)
        crowd.over.set()


def test_a_wait_can_be_called_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_MAX_LINKS", 1)
    crowd, enough = Crowd(), threading.Event()
    with hostile_node(tmp_path, crowd, sessions=1) as connection, ThreadPoolExecutor(1) as pool:
        busy(connection, crowd, pool)
        threading.Timer(0.3, enough.set).start()
        with cancellable(enough), pytest.raises(SSHError, match="called off before it began"):
            connection.run("second")
        crowd.over.set()


def test_sessions_that_a_server_still_counts_after_they_were_given_up_hold_up_nobody(tmp_path: Path) -> None:
    over, channels = threading.Event(), []

    def deed(channel: paramiko.Channel) -> None:
        channels.append(channel)
        if len(channels) <= 2:
            over.wait()
        channel.send_exit_status(0)
        channel.close()

    def give_up(_: int) -> None:
        with pytest.raises(SSHError, match="takes longer"):
            connection.run("any", timeout=2)

    with hostile_node(tmp_path, deed, sessions=1) as connection:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(give_up, range(2)))
        assert connection.run("any").exit_status == 0
        over.set()


def test_a_server_that_opens_no_session_at_all_is_told(tmp_path: Path) -> None:
    with (
        hostile_node(tmp_path, Crowd(), sessions=0) as connection,
        pytest.raises(SSHError, match="opens no session"),
    ):
        connection.run("any")


def test_a_command_that_a_signal_ended_has_a_shells_status(tmp_path: Path) -> None:
    def deed(channel: paramiko.Channel) -> None:
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(channel.remote_chanid)
        message.add_string("exit-signal")
        message.add_boolean(False)
        message.add_string("SEGV")
        channel.get_transport()._send_user_message(message)  # type: ignore[attr-defined]
        channel.close()

    with hostile_node(tmp_path, deed) as connection:
        assert connection.run("any", check=False).exit_status == 139


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("a\0b", "holds a null character"),
        (b"true", "give a string"),
        (None, "the command is None"),
        ("\ud800", "is no text"),
        ("x" * (9 << 20), "put it into the node as a file"),
    ],
)
def test_a_command_that_no_shell_takes_is_refused_before_it_is_sent(
    tmp_path: Path, command: str, words: str
) -> None:
    with (
        hostile_node(tmp_path, Crowd(), answers=False) as connection,
        pytest.raises(SpecError, match=words),
    ):
        connection.run(command)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "5"])
def test_a_timeout_that_is_none_is_refused(tmp_path: Path, timeout: float) -> None:
    with hostile_node(tmp_path, Crowd()) as connection, pytest.raises(SpecError, match="timeout is"):
        connection.run("any", timeout=timeout)


@pytest.mark.parametrize("timeout", [np.float32(30), np.int64(30), 30.0])
def test_a_timeout_of_any_type_is_one(tmp_path: Path, timeout: float) -> None:
    with hostile_node(tmp_path, Crowd(lasting=0.01)) as connection:
        assert connection.run("any", timeout=timeout).stdout == "done\n"


@pytest.mark.parametrize("stdin", ["text", 5])
def test_an_input_that_is_no_bytes_is_refused(tmp_path: Path, stdin: bytes) -> None:
    with hostile_node(tmp_path, Crowd()) as connection, pytest.raises(SpecError, match="stdin is"):
        connection.run("any", stdin=stdin)


def test_an_input_that_breaks_off_ends_the_command_and_is_raised(tmp_path: Path) -> None:
    def broken() -> object:
        yield b"half"
        raise SSHError("the other half is missing")

    def deed(channel: paramiko.Channel) -> None:
        while channel.recv(100):
            pass

    with (
        hostile_node(tmp_path, deed) as connection,
        pytest.raises(SSHError, match="the other half is missing"),
    ):
        connection.execute("any", stdin=broken())  # type: ignore[arg-type]
