"""SSH to what is no guest: a server of the test's own that stalls, dribbles or is somebody else."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED
from raw_vm import paramiko_key

from fame_lab.core.lab_directory import LabDirectory
from fame_lab.errors import SSHError
from fame_lab.guest.ssh import connection as ssh
from fame_lab.guest.ssh.connection import Connection
from fame_lab.guest.ssh.keys import LabKeys

DAY = 86400.0
STALLS = ("auth", "session", "command", "end")


@pytest.fixture(autouse=True)
def _short_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "_KILL_TIMEOUT", 0.5)


@pytest.fixture
def keys(tmp_path: Path) -> LabKeys:
    directory = LabDirectory(tmp_path / "fame_lab-0-keys")
    directory.make(None)
    return LabKeys.make(directory, ["node01"])


@contextlib.contextmanager
def serving(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """Listen on a port of loopback; each who connects is answered so, until the block ends."""
    over = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)

        def work() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    peer, _ = server.accept()
                    threads.append(threading.Thread(target=answer, args=(peer, over)))
                    threads[-1].start()

        listening = threading.Thread(target=work)
        listening.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            listening.join()
            for thread in threads:
                thread.join()


def says_nothing(peer: socket.socket, over: threading.Event) -> None:
    with peer:
        over.wait()


def dribbles(peer: socket.socket, over: threading.Event) -> None:
    with peer, contextlib.suppress(OSError):
        while not over.wait(0.1):
            peer.sendall(b"S")


class Server(paramiko.ServerInterface):
    """Lets everybody in, and stalls where it is told to."""

    def __init__(self, stall: str, over: threading.Event) -> None:
        self.stall, self.over = stall, over

    def _maybe(self, what: str) -> None:
        if self.stall == what:
            self.over.wait()

    def get_allowed_auths(self, *_: object) -> str:
        return "publickey"

    def check_auth_publickey(self, *_: object) -> int:
        self._maybe("auth")
        return AUTH_FAILED if self.stall == "refuse" else AUTH_SUCCESSFUL

    def check_channel_request(self, *_: object) -> int:
        self._maybe("session")
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, *_: object) -> bool:
        self._maybe("command")
        threading.Thread(target=self._end, args=(channel,)).start()
        return True

    def _end(self, channel: paramiko.Channel) -> None:
        if self.stall != "end":
            channel.recv(1)  # nothing comes: by then the client knows that its command was taken
            with contextlib.suppress(OSError):
                channel.send(b"done\n")
                channel.send_exit_status(0)
                channel.close()


def guest(
    stall: str, host_key: paramiko.PKey, lives: list[paramiko.Transport] | None = None
) -> Callable[[socket.socket, threading.Event], None]:
    def answer(peer: socket.socket, over: threading.Event) -> None:
        transport = paramiko.Transport(peer)
        transport.add_server_key(host_key)
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            transport.start_server(server=Server(stall, over))
            if lives is not None:
                lives.append(transport)
            over.wait()
        transport.close()

    return answer


@pytest.fixture
def host_key(keys: LabKeys, tmp_path: Path) -> paramiko.PKey:
    identity = keys.identity("node01", LabDirectory(tmp_path / "fame_lab-0-keys"))
    return paramiko_key(identity.host_key)


@pytest.mark.parametrize("answer", [says_nothing, dribbles])
def test_who_accepts_and_never_says_a_whole_banner_is_given_up(
    keys: LabKeys, answer: Callable[[socket.socket, threading.Event], None]
) -> None:
    with (
        serving(answer) as port,
        pytest.raises(SSHError, match="does not answer SSH within 1 s"),
    ):
        Connection("node01", lambda: port, keys).open(1.0)


def errors_of_stalls(keys: LabKeys, host_key: paramiko.PKey) -> dict[str, str]:
    """Return how guests are given up that stall, each elsewhere. All are waited for at once."""

    def meet(stall: str) -> str:
        with serving(guest(stall, host_key)) as port:
            connection = Connection("node01", lambda: port, keys)
            with pytest.raises(SSHError) as error:
                connection.run("true", timeout=2)
            connection.close()
        return str(error.value)

    with ThreadPoolExecutor(len(STALLS)) as pool:
        return dict(zip(STALLS, pool.map(meet, STALLS), strict=True))


def test_a_guest_that_stalls_is_given_up_wherever_it_does(keys: LabKeys, host_key: paramiko.PKey) -> None:
    errors = errors_of_stalls(keys, host_key)
    assert "does not answer SSH" in errors["auth"]
    assert "opens no session" in errors["session"]
    assert "begins nothing" in errors["command"]
    assert "takes longer" in errors["end"]


def test_a_key_that_is_refused_is_told_at_once(keys: LabKeys, host_key: paramiko.PKey) -> None:
    with (
        serving(guest("refuse", host_key)) as port,
        pytest.raises(SSHError, match="does not let this lab's key in"),
    ):
        Connection("node01", lambda: port, keys).open(30.0)


def test_something_else_that_answers_there_is_told(keys: LabKeys) -> None:
    other = paramiko_key(Ed25519PrivateKey.generate())
    with serving(guest("", other)) as port, pytest.raises(SSHError, match="another host key"):
        Connection("node01", lambda: port, keys).open(30.0)


def test_a_connection_to_an_earlier_life_of_the_guest_is_made_anew(
    keys: LabKeys, host_key: paramiko.PKey
) -> None:
    lives: list[paramiko.Transport] = []
    with serving(guest("", host_key, lives)) as port:
        connection = Connection("node01", lambda: port, keys)
        assert connection.run("true").stdout == "done\n"
        lives[0].close()
        assert connection.run("true").stdout == "done\n"
        assert len(lives) == 2
        connection.close()


class JumpingClock:
    """A wall clock that is set a day on or back every tenth of a second."""

    def __init__(self, days: list[float]) -> None:
        self._days, self._real = days, time.time

    def __call__(self) -> float:
        return self._real() + DAY * self._days[int(time.monotonic() * 10) % len(self._days)]


@pytest.mark.parametrize("days", [[0, 1], [1, 0, 0, -1], [0, 0, 0, -1]])
def test_a_wall_clock_that_jumps_ends_no_command_early(
    keys: LabKeys, host_key: paramiko.PKey, monkeypatch: pytest.MonkeyPatch, days: list[float]
) -> None:
    monkeypatch.setattr(time, "time", JumpingClock(days))
    with serving(guest("", host_key)) as port:
        for _ in range(5):
            connection = Connection("node01", lambda: port, keys)
            assert connection.run("true").stdout == "done\n"
            assert connection.run("true").stdout == "done\n"
            connection.close()


def test_a_wall_clock_that_is_set_back_holds_up_no_timeout(
    keys: LabKeys, host_key: paramiko.PKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, real = time.monotonic(), time.time
    monkeypatch.setattr(time, "time", lambda: real() - DAY * (time.monotonic() > began + 0.5))
    assert set(errors_of_stalls(keys, host_key)) == set(STALLS)
