import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import paramiko
import psutil
import pytest
from hostile_ssh import any_keys, deaf, hostile_node, message, peer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paramiko.common import MSG_CHANNEL_CLOSE, MSG_CHANNEL_DATA, cMSG_CHANNEL_DATA, cMSG_CHANNEL_EXTENDED_DATA

from fame_lab.cli.output import runs_as_dict
from fame_lab.core.sizes import MIB
from fame_lab.errors import SSHError
from fame_lab.guest.ssh import connection as ssh
from fame_lab.guest.ssh import output
from fame_lab.guest.ssh.connection import Connection

STDERR = 1


@pytest.fixture(autouse=True)
def _short_kill_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "_KILL_TIMEOUT", 0.5)


def ends(channel: paramiko.Channel, status: int = 0) -> None:
    channel.send_exit_status(status)
    channel.close()


def refused(do: Callable[[], object], within: float = 30.0) -> str:
    """Return the message of its error: one of ours, fit for a terminal, in time and of bounded length."""
    messages: list[str] = []

    def attempt() -> None:
        try:
            do()
        except SSHError as error:
            messages.append(str(error))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(within)
    assert not thread.is_alive(), "it hangs"
    assert messages, "it was taken for good"
    assert messages[0].isprintable()
    assert len(messages[0]) < 1000
    return messages[0]


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def test_what_a_sound_node_says_comes_back(tmp_path: Path) -> None:
    def deed(channel: paramiko.Channel) -> None:
        channel.sendall(b"out\n" * 100_000)
        channel.sendall_stderr(b"err\n")
        ends(channel, 3)

    with hostile_node(tmp_path, deed) as connection:
        result = connection.run("any", check=False)
    assert (result.stdout, result.stderr, result.exit_status) == ("out\n" * 100_000, "err\n", 3)


@pytest.mark.parametrize("head", [(cMSG_CHANNEL_DATA,), (cMSG_CHANNEL_EXTENDED_DATA, STDERR)])
def test_a_flood_is_cut_off_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(output, "MAX_OUTPUT", 2 * MIB)
    over = threading.Event()

    def deed(channel: paramiko.Channel) -> None:
        # It heeds neither window nor the end of the channel, and its line never ends.
        deaf(channel, MSG_CHANNEL_CLOSE)
        try:
            for _ in range(2560):
                message(channel, head[0], *head[1:], b"x" * 16384)
        finally:  # also when the connection is closed under it
            over.set()

    with hostile_node(tmp_path, deed) as connection:
        before = resident()
        # A notebook keeps the last error, and with it all that its frames held.
        with pytest.raises(SSHError, match=r"says more than 2 MiB; stopped|sends more than") as caught:
            connection.run("any")
        over.wait(20)
        assert resident() - before < 20 * MIB  # of 40 that were sent
    del caught


def test_a_stream_of_a_kind_that_there_is_not_is_left_out(tmp_path: Path) -> None:
    def deed(channel: paramiko.Channel) -> None:
        message(channel, cMSG_CHANNEL_EXTENDED_DATA, 7, b"x" * 1000)
        ends(channel)

    with hostile_node(tmp_path, deed) as connection:
        result = connection.run("any")
    assert (result.stdout, result.stderr) == ("", "")


@pytest.mark.parametrize("status", [256, 1 << 20, (1 << 32) - 1])
def test_a_status_that_no_process_has_is_no_success(tmp_path: Path, status: int) -> None:
    # The shell that runs `fame-lab run` would take 256 for 0.
    with hostile_node(tmp_path, lambda channel: ends(channel, status)) as connection:
        assert f"its exit status is said to be {status}" in refused(lambda: connection.run("any"))


def test_a_channel_that_closes_without_a_status_is_no_success(tmp_path: Path) -> None:
    with hostile_node(tmp_path, lambda channel: channel.close()) as connection:
        assert "no exit status came" in refused(lambda: connection.run("any"))


def test_a_connection_cut_half_way_is_an_error_and_the_next_one_works(tmp_path: Path) -> None:
    cut: list[bool] = []

    def deed(channel: paramiko.Channel) -> None:
        channel.sendall(b"half")
        if cut:
            ends(channel)
        cut.append(True)
        channel.get_transport().close()

    with hostile_node(tmp_path, deed) as connection:
        assert "went away during 'any'" in refused(lambda: connection.run("any"))
        assert connection.run("any").stdout == "half"


def test_a_node_that_never_begins_is_given_up(tmp_path: Path) -> None:
    with hostile_node(tmp_path, ends, answers=False) as connection:
        connection.open()
        assert "begins nothing within 0.5 s" in refused(lambda: connection.run("any", timeout=0.5))


def test_a_silent_command_is_given_up_where_something_stops_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "SILENCE", 0.5)
    over = threading.Event()

    def hang(channel: paramiko.Channel) -> None:
        over.wait(60)

    with hostile_node(tmp_path, hang, trouble=lambda: "no room is left for FAM") as node:
        text = refused(lambda: node.run("store"))
        over.set()
    assert "node01: 'store' says nothing for 0.5 s; given up: no room is left for FAM" in text


@pytest.mark.parametrize(("words", "trouble"), [(b"", ""), (b".", "no room is left for FAM")])
def test_a_command_that_is_slow_or_says_something_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: bytes, trouble: str
) -> None:
    monkeypatch.setattr(output, "SILENCE", 1.0)

    def slow(channel: paramiko.Channel) -> None:
        for _ in range(20):
            channel.sendall(words)
            time.sleep(0.1)
        ends(channel)

    with hostile_node(tmp_path, slow, trouble=lambda: trouble) as node:
        assert node.run("slow").stdout == words.decode() * 20


def test_a_command_that_misses_its_limit_tells_what_stops_nodes(tmp_path: Path) -> None:
    over = threading.Event()

    def hang(channel: paramiko.Channel) -> None:
        over.wait(60)

    with hostile_node(tmp_path, hang, trouble=lambda: "FAM was truncated") as node:
        text = refused(lambda: node.run("store", timeout=0.5))
        over.set()
    assert "takes longer than its 0.5 s; given up: FAM was truncated" in text


def test_a_node_that_takes_no_input_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "_PATIENCE", 1.0)

    def deed(channel: paramiko.Channel) -> None:
        message(channel, b"\x5d", (1 << 31) - 1)  # a window of 2 GiB
        # It reads one piece of it, and nothing more from the socket.
        deaf(channel, MSG_CHANNEL_DATA, lambda *_: threading.Event().wait())

    with hostile_node(tmp_path, deed) as connection:
        refused(lambda: connection.run("any", timeout=3, stdin=bytes(64 << 20)))


SAID = b"\x1b]0;mine\x07\x1b[2J\xff\xfe<script>alert(1)</script>\r\n\x00"


def test_what_a_guest_says_is_escaped_where_an_error_quotes_it(tmp_path: Path) -> None:
    def deed(channel: paramiko.Channel) -> None:
        channel.sendall_stderr(SAID)
        ends(channel, 1)

    with hostile_node(tmp_path, deed) as connection:
        assert "ended with status 1" in refused(lambda: connection.run("any"))
        result = connection.run("any", check=False)
    assert "<script" not in result._repr_html_()
    assert result.as_text().replace("\n", "").isprintable()
    assert runs_as_dict({"node01": result})["node01"]["stderr"] == SAID.decode(errors="replace")


def meets(tmp_path: Path, serve: Callable[[socket.socket], None], deadline: float = 0.5) -> str:
    with peer(serve) as port:
        connection = Connection("node01", lambda: port, any_keys(tmp_path))
        try:
            return refused(lambda: connection.open(deadline))
        finally:
            connection.close()


def test_a_banner_that_is_none_is_escaped(tmp_path: Path) -> None:
    text = meets(tmp_path, lambda client: client.sendall(b"SSH-9.9-\x1b[2J\xff" + b"x" * 5000 + b"\n"))
    assert "does not answer SSH within" in text


def endless(client: socket.socket, piece: bytes) -> None:
    with contextlib.suppress(OSError):
        for _ in range(20_000):
            client.sendall(piece)


@pytest.mark.parametrize("piece", [b"x" * 65536, bytes(65536)])
def test_a_greeting_without_an_end_is_not_kept(tmp_path: Path, piece: bytes) -> None:
    assert "came before the first packet" in meets(tmp_path, lambda client: endless(client, piece))


def test_a_greeting_of_many_lines_is_given_up(tmp_path: Path) -> None:
    meets(tmp_path, lambda client: endless(client, b"x\n" * 32768))


def test_a_packet_of_any_size_is_not_waited_for(tmp_path: Path) -> None:
    def serve(client: socket.socket) -> None:
        client.sendall(b"SSH-2.0-guest\r\n" + (0x7FFFFFF4).to_bytes(4, "big"))
        endless(client, bytes(65536))

    before = resident()
    assert "a packet of" in meets(tmp_path, serve)
    assert resident() - before < 50 * MIB


def test_a_peer_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    meets(tmp_path, lambda _: time.sleep(5))


KINDS = [1, 2, 3, 4, 5, 6, 20, 21, 31, 52, 80, 90, 94, 99]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), kind=st.sampled_from(KINDS), framed=st.booleans())
def test_whatever_a_peer_says_is_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, kind: int, framed: bool
) -> None:
    # As packets they reach the parsers of paramiko's messages.
    body = bytes([4, kind]) + content + bytes(4)
    packet = len(body).to_bytes(4, "big") + body + bytes(-(len(body) + 4) % 8)
    tail = packet if framed else content

    def serve(client: socket.socket) -> None:
        client.sendall(b"SSH-2.0-guest\r\n" + tail)
        client.shutdown(socket.SHUT_WR)

    meets(tmp_path_factory.mktemp("peer"), serve, deadline=0.0)
